"""Who may see one site sees nothing of another: not its boxes, not their number, not in a text, not by a search."""

import json
from pathlib import Path

import pytest

from gitops.model import EventType
from gitops.model.access.person import Person
from gitops.server.app import people_app
from gitops.server.people.documents import Asked, Document
from gitops.server.people.guard.viewer import Viewer
from gitops.server.people.pages.making import maker, tick
from tests.kit.logins import Browser, Towers, grants
from tests.kit.routes import routes

HIDDEN = ("south", "lonely")
OF_SITES = ("/", "/?q=1", "/sites", "/boxes/north-1", "/activity", "/activity?q=south", "/activity?box=south-1")
TWINS = ("/api/v1/boxes", "/api/v1/boxes?q=1", "/api/v1/sites", "/api/v1/boxes/north-1", "/api/v1/events")
OF_FLEET = (
    "/commits", "/commits/5c1e5c1e", "/advisories", "/keys", "/metrics", "/api/v1/commits", "/api/v1/security",
    "/api/v1/keys", "/api/v1/rollout", "/api/v1/progress", "/api/v1/nocs", "/openapi.json",
    f"/sbom/{'a' * 64}.cdx.json",
)  # fmt: skip


@pytest.fixture
def towers(tmp_path: Path) -> Towers:
    towers = Towers(tmp_path)
    towers.account("ada", "viewer@north")
    towers.account("eve", "viewer")
    return towers


@pytest.fixture
def ada(towers: Towers) -> Browser:
    return towers.browser().login("ada")


def test_a_viewer_of_one_site_sees_its_boxes_and_no_word_of_others(ada: Browser) -> None:
    told = {path: ada.get(path) for path in (*OF_SITES, *TWINS)}

    assert {path: answer.status_code for path, answer in told.items() if answer.status_code != 200} == {}
    shown = {path: answer.text.split("<main")[-1].replace('value="south', "").replace("=south", "")
             for path, answer in told.items()}  # fmt: skip
    assert {path: word for path, text in shown.items() for word in HIDDEN if word in text} == {}
    assert "north-1" in shown["/"] and "north-2" in shown["/api/v1/boxes"]
    assert "waits for (another box) and north-2, at (another site)" in shown["/boxes/north-1"]
    assert "waits for (another box)" in shown["/api/v1/boxes/north-1"]
    assert "a commit for" not in shown["/activity"], "the controller's own events are the fleet's"


def test_counts_are_those_of_the_site(ada: Browser) -> None:
    assert ">1 of 2 boxes in trouble" in ada.get("/").text
    listed = ada.get("/api/v1/boxes?per=1").json()
    assert (listed["total"], sum(listed["health"].values())) == (2, 2)
    assert [site["site"] for site in ada.get("/api/v1/sites").json()["sites"]] == ["north"]
    whole = ada.get("/api/v1/boxes").json()
    assert "error" not in whole["controller"] or not whole["controller"]["error"], "which may name any box"


def test_a_box_elsewhere_is_as_absent_as_one_that_nobody_has(ada: Browser) -> None:
    """By guessing its name nobody learns that it is there."""
    for path in ("/boxes/{}", "/api/v1/boxes/{}"):
        there, none = ada.get(path.format("south-1")), ada.get(path.format("south-9"))
        assert (there.status_code, none.status_code) == (404, 404)
        said = (there.text.replace("south-1", ""), none.text.replace("south-9", ""))
        assert len({each.partition("<footer")[0] for each in said}) == 1
        assert ada.get(path.format("lonely")).status_code == 404, "of no site: for who sees the whole fleet"
    for query in ("box=south-1", "q=south-1", "q=says+so&box=south-1"):
        assert ada.get(f"/api/v1/events?{query}").json()["events"] == []


@pytest.mark.parametrize("path", OF_FLEET)
def test_what_is_of_the_whole_fleet_is_for_who_sees_it_whole(towers: Towers, ada: Browser, path: str) -> None:
    refused = ada.get(path)
    assert refused.status_code == 403 and "the whole fleet" in refused.text
    assert towers.browser().login("eve").get(path).status_code in (200, 404)


def test_the_menu_has_no_page_that_would_be_refused(ada: Browser) -> None:
    menu = ada.get("/").text.partition("<nav")[2].partition("</nav>")[0]
    assert [name for name in ("Fleet", "Sites", "Activity", "Commits", "Advisories", "Keys") if name in menu] == [
        "Fleet", "Sites", "Activity",
    ]  # fmt: skip


def test_who_sees_one_site_is_not_told_that_something_happened_at_another(towers: Towers) -> None:
    """/live: the word changes for what this person may see."""
    ada = Viewer(Person("ada", grants("viewer@north")))
    before = tick(towers.store, ada)
    towers.store.events.add("south-1", EventType.NORMAL, "Healthy", "release 2")
    towers.store.events.add("", EventType.NORMAL, "Published", "main")
    assert tick(towers.store, ada) == before
    towers.store.events.add("north-1", EventType.NORMAL, "Healthy", "release 2")
    assert tick(towers.store, ada) != before


def test_an_answer_is_never_shared_with_who_sees_less(towers: Towers) -> None:
    """What is made once for all who ask at a time is told apart by what they may see."""
    make = maker(towers.store, towers.settings)
    everything = Asked(Document.fleet)
    part = everything._replace(who=Viewer(Person("", grants("viewer@north"))).nameless)
    assert everything != part and everything.plain and not part.plain
    boxes = {asked: {box["box"] for box in json.loads(make(asked))["boxes"]} for asked in (part, everything)}
    assert boxes[part] == {"north-1", "north-2"} < boxes[everything]


def test_grants_count_from_the_next_request_on(towers: Towers, ada: Browser) -> None:
    from gitops.workflows.access.accounts import Accounts

    assert ada.get("/boxes/south-1").status_code == 404
    Accounts(towers.store).grant("ada", grants("viewer@north", "viewer@south"))
    assert (ada.get("/boxes/south-1").status_code, ada.get("/boxes/lonely").status_code) == (200, 404)
    Accounts(towers.store).grant("ada", ())
    assert {ada.get(path).status_code for path in ("/", "/boxes/north-1", "/api/v1/boxes", "/live")} == {403}


PUBLIC = {"/healthz", "/readyz", "/login", "/logout"}


def test_every_route_for_people_asks_who_is_there(towers: Towers) -> None:
    """Also one that somebody adds: it is refused until it depends on `known`."""
    app = people_app(towers.store, towers.settings)
    web, open_ = towers.browser(app), set[str]()
    for method, path in sorted(routes(app)):
        answer = web.request(method, path.replace("{name:path}", "north-1").replace("{name}", "north-1"))
        if answer.status_code not in (401, 303) or "north" in answer.text:
            open_.add(path)
    assert {path for path in open_ if not path.startswith("/static/")} == PUBLIC
