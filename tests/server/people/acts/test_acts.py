"""Acts from the pages and by the API, on a real server: who may, what is done once, and the line of it."""

import html
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.model import Failure, Health, Phase, Report, Revision, Verdict
from gitops.model.access.person import Grant, Role
from gitops.model.machines.newcomer import code
from gitops.model.rollout.waves import WaveState
from gitops.rollout import holds, steering
from gitops.server import create_app, serve
from gitops.server.people.acts.api import PATHS as API
from gitops.server.people.acts.kinds import ACTS
from gitops.server.people.acts.pages import PATHS
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.store.audit.verified import verified
from gitops.store.notes.adopting import Adoptions
from gitops.store.notes.directory import Place
from gitops.store.notes.documents import LastDeployed, Suspended
from gitops.store.notes.newcomers import Newcomer as Waiting
from gitops.store.notes.newcomers import Newcomers
from gitops.store.notes.waves import Steered, Waves
from gitops.workflows.access.accounts import Accounts
from gitops.workflows.access.sessions import Sessions
from gitops.workflows.access.tokens import Tokens
from tests.kit.told import NEW, OLD, Told, tell

NOW = int(time.time())
WHY = "the mast is open"
DEPLOYED, OTHER = (LastDeployed(Revision("main", commit * 40, 5, NOW), 0, {}, (), ()) for commit in "59")
PEOPLE = {
    "ada": (Grant(Role.admin),), "oda": (Grant(Role.operator),), "nora": (Grant(Role.operator, "north"),),
    "vic": (Grant(Role.viewer),),
}  # fmt: skip


@dataclass
class Web:
    """A server with boxes at two sites, and people."""

    url: str
    store: Store

    def client(self, who: str) -> httpx.Client:
        """A browser in which somebody is logged in."""
        person = Accounts(self.store).person(who)
        assert person
        return httpx.Client(base_url=self.url, cookies={"toweros": Sessions(self.store).begin(person, "127.0.0.1")})

    def acts(self) -> list[tuple[str, str, str, str, str]]:
        log = AuditLog(self.store.paths.audit).newest()
        return [(line.act.who, line.act.what, line.act.subject, line.act.reason, outcome) for line, outcome in log]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    store = Store.open(tmp_path_factory.mktemp("acts") / "state")
    places = {"site-1": Place("relay", "north"), "site-2": Place("relay", "south"), "site-3": Place("relay", "north")}
    tell(store, [Told(name, place) for name, place in places.items()], NOW)
    for name, grants in PEOPLE.items():
        Accounts(store).add(name, f"{name} has a long password", grants)
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        yield Web(url, store)


@pytest.fixture(autouse=True)
def free(web: Web) -> None:
    """Nobody holds anything when a story begins."""
    web.store.notes.put(Suspended())
    web.store.notes.put(Steered())


def form(client: httpx.Client, path: str) -> dict[str, str]:
    """The fields of a form's page, as a browser has them."""
    text = client.get(path)
    assert text.status_code == 200, text.text
    return {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', text.text)}


def test_a_box_is_held_with_a_reason_and_its_page_and_the_audit_log_say_so(web: Web) -> None:
    with web.client("nora") as nora:
        said = form(nora, "/boxes/site-1/hold") | {"reason": f"  {WHY}  <b>\n "}
        done = nora.post("/boxes/site-1/hold", data=said)
        assert (done.status_code, done.headers["location"]) == (303, "/boxes/site-1?done=box-hold")
        page = nora.get(done.headers["location"]).text
        assert "It is held from the next pass on." in page and f"Held by nora: {WHY} &lt;b&gt; (since" in page
        assert holds.operator(web.store, "site-1").startswith(f"nora: {WHY} <b> (since ")
        said = form(nora, "/boxes/site-1/release") | {"reason": "it is closed"}
        assert nora.post("/boxes/site-1/release", data=said).headers["location"].endswith("done=box-release")
    assert holds.operator(web.store, "site-1") == ""
    assert web.acts()[:2] == [
        ("nora", "box.release", "site-1", "it is closed", "done"),
        ("nora", "box.hold", "site-1", f"{WHY} <b>", "done"),
    ]
    with web.client("ada") as ada:
        page = ada.get("/audit").text
        assert page.index(">box.release<") < page.index(">box.hold<") and f"{WHY} &lt;b&gt;" in page
        (act, *_) = ada.get("/api/v1/audit?what=box.hold&who=nora").json()["acts"]
        assert (act["address"], act["how"], act["outcome"]) == ("127.0.0.1", "account", "done")
        nobody = ada.get("/audit?who=nbody").text
        assert "No act matches." in nobody and '<a href="/audit">Show all</a>' in nobody


def test_who_clicks_twice_has_done_it_once(web: Web) -> None:
    """Both clicks are on their way at the same time; then somebody goes back, and sends it again."""
    before = len(web.store.events.latest("site-1", 500))
    with web.client("oda") as oda, ThreadPoolExecutor(4) as pool:
        said, gate = form(oda, "/boxes/site-1/hold") | {"reason": WHY}, threading.Barrier(4)

        def click(_: int) -> str:
            with web.client("oda") as same:
                own = said | {"csrf": form(same, "/boxes/site-1/hold")["csrf"]}
                gate.wait()
                return same.post("/boxes/site-1/hold", data=own).headers["location"]

        places = sorted(pool.map(click, range(4)))
        assert places == [*["/boxes/site-1?done=already"] * 3, "/boxes/site-1?done=box-hold"]
        again = oda.post("/boxes/site-1/hold", data=said)
        assert again.headers["location"].endswith("done=already") and "nothing changed" in oda.get(
            again.headers["location"]
        ).text  # fmt: skip
    assert len(web.store.events.latest("site-1", 500)) == before + 1
    assert [act[-1] for act in web.acts()[:5]].count("done already") == 4


def test_a_page_of_an_hour_ago_changes_nothing_that_is_another_by_now(web: Web) -> None:
    with web.client("oda") as oda:
        free = form(oda, "/boxes/site-1/hold")
        holds.hold(web.store, "site-1", "ben", "a disk", NOW)
        held = form(oda, "/boxes/site-1/release")
        late = oda.post("/boxes/site-1/hold", data=free | {"reason": WHY})
        assert late.status_code == 409 and "held meanwhile by ben: a disk" in late.text and WHY in late.text
        holds.hold(web.store, "site-1", "eve", "an audit", NOW)
        late = oda.post("/boxes/site-1/release", data=held | {"reason": "ben is done"})
        assert late.status_code == 409 and "held by somebody else by now: eve: an audit" in late.text
        held = form(oda, "/boxes/site-1/release")
        holds.let_go(web.store, "site-1", "eve")
        late = oda.post("/boxes/site-1/release", data=held | {"reason": "eve is done"})
        assert late.status_code == 409 and "not any more" in late.text and "Nobody holds it" in late.text
    assert [act[-1].split(":")[0] for act in web.acts()[:3]] == ["not done"] * 3


def test_without_a_reason_or_with_too_long_a_one_nothing_is_done(web: Web) -> None:
    with web.client("oda") as oda:
        said = form(oda, "/boxes/site-1/hold")
        for reason, says in (("", "a reason is missing"), (" \t", "a reason is missing"), ("x" * 501, "500 at most")):
            answer = oda.post("/boxes/site-1/hold", data=said | {"reason": reason})
            assert answer.status_code == 400 and says in answer.text and "--why" not in answer.text
    assert holds.operators(web.store) == {}


@pytest.mark.parametrize("act", ACTS, ids="-".join)
def test_only_who_may_acts(web: Web, act: tuple[str, str]) -> None:
    """A viewer, an operator of another site, whoever guesses a name, a form from elsewhere, and nobody."""
    path, of_box = PATHS[act].format(name="site-2"), act[0] == "box"
    with web.client("vic") as vic, web.client("nora") as nora, web.client("oda") as oda:
        assert vic.get(path).status_code == 403
        assert nora.get(path).status_code == (404 if of_box else 403)
        assert oda.get(path).status_code == 200
        token, said = form(nora, "/account"), {"reason": WHY, "sure": "yes", "seen": ""}
        assert nora.post(path, data=token | said).status_code == (404 if of_box else 403)
        assert oda.post(path, data=said).status_code == 403, "without the token of its own session"
        forged = form(oda, path) | said
        assert oda.post(path, data=forged, headers={"origin": "http://evil.example"}).status_code == 403
        if of_box:
            assert oda.get(PATHS[act].format(name="no-such")).status_code == 404
            assert oda.get(PATHS[act].format(name="%2e%2e")).status_code == 404
    nobody = httpx.post(web.url + path, data=said)
    assert nobody.status_code == 401 and holds.operators(web.store) == {}
    assert not (web.store.notes.get(Steered) or Steered()).since


def test_the_rollout_is_paused_goes_on_and_ends_and_what_is_lost_needs_a_tick(web: Web) -> None:
    web.store.notes.put(DEPLOYED)
    with web.client("oda") as oda:
        done = oda.post("/rollout/pause", data=form(oda, "/rollout/pause") | {"reason": WHY})
        assert "Nobody else begins" in oda.get(done.headers["location"]).text
        assert steering.text(web.store.notes.get(Steered) or Steered()).startswith(f"oda: {WHY} (since")
        done = oda.post("/rollout/resume", data=form(oda, "/rollout/resume") | {"reason": "closed"})
        assert done.status_code == 303 and not (web.store.notes.get(Steered) or Steered()).since
        said = form(oda, "/rollout/abort") | {"reason": "smoke"}
        del said["sure"]
        refused = oda.post("/rollout/abort", data=said)
        assert refused.status_code == 400 and "tick the box" in refused.text and "smoke" in refused.text
        web.store.notes.put(OTHER)
        late = oda.post("/rollout/abort", data=said | {"sure": "yes"})
        assert late.status_code == 409 and "another one than you saw" in late.text
        said = form(oda, "/rollout/abort") | {"reason": "smoke", "sure": "yes"}
        assert oda.post("/rollout/abort", data=said).status_code == 303
        assert (web.store.notes.get(Steered) or Steered()).revision == "9" * 40
    assert [act[1] for act in web.acts()[:4]] == ["rollout.abort", "rollout.abort", "rollout.resume", "rollout.pause"]


def test_a_wave_that_runs_something_else_by_now_is_not_promoted(web: Web) -> None:
    web.store.notes.put(Waves((WaveState("lab", OLD, {"waits": 1}, says="soaks"),)))
    with web.client("oda") as oda:
        page = oda.get("/rollout/promote?wave=lab").text
        assert f'<option value="lab {OLD}" selected>' in page and "promote: &#34;oda: WHY&#34;" in page
        said = form(oda, "/rollout/promote") | {"reason": "the lamp alone", "sure": "yes", "wave": f"lab {OLD}"}
        web.store.notes.put(Waves((WaveState("lab", NEW, {"waits": 1}, says="soaks"),)))
        late = oda.post("/rollout/promote", data=said)
        assert late.status_code == 409 and "something else by now" in late.text
        assert oda.post("/rollout/promote", data=said | {"wave": f"lab {NEW}"}).status_code == 303
        assert oda.post("/rollout/promote", data=said | {"wave": f"lab {NEW}"}).headers["location"].endswith("already")
        assert (web.store.notes.get(Steered) or Steered()).promoted == (NEW,)


def test_what_failed_is_tried_again_once(web: Web) -> None:
    words = ("site-3", "boot-2", 9, NOW, "1", 1, OLD, OLD, Phase.IDLE, Health.HEALTHY)
    failed = Failure(2, NEW, Verdict.FAILED, "status 503", NOW)
    web.store.boxes.save_report(Report(*words, failures=(failed,), retried=()), NOW)
    with web.client("nora") as nora:
        assert "Try again what failed" in nora.get("/boxes/site-3").text
        said = form(nora, "/boxes/site-3/retry") | {"reason": "the mast was down"}
        assert [nora.post("/boxes/site-3/retry", data=said).headers["location"][-9:] for _ in range(2)] == [
            "box-retry", "e=already",
        ]  # fmt: skip
    assert sum(event.reason == "Retry" for event in web.store.events.latest("site-3")) == 1


def test_a_machine_without_a_name_gets_one_proposed_and_nothing_more(web: Web) -> None:
    """Which commit it is, the controller says: tests/workflows/enrolment/test_proposing.py."""
    key, other = "ab" * 32, "cd" * 32
    waits = Waiting("relay", NOW, int(time.time()), "192.0.2.9", "<b>7</b>", ("02:00:00:00:00:01",))
    web.store.notes.put(Newcomers({key: waits, other: waits}))
    path = f"/newcomers/{code(key)}/adopt"
    with web.client("nora") as nora, web.client("oda") as oda:
        assert nora.get(path).status_code == 403, "a machine without a name is at no site"
        assert path in oda.get("/").text
        page = oda.get(path).text
        assert "serial &lt;b&gt;7&lt;/b&gt;" in page and f"key: &#34;{key}&#34;" in page
        said = form(oda, path) | {"box": "site-9", "reason": "a new mast", "sure": "yes"}
        for wrong, says in (
            ({"box": "../x"}, "no name"), ({"box": "site-1"}, "there is a box site-1"), ({"role": "a b"}, "no role"),
            ({"reason": ""}, "a reason is missing"), ({"sure": ""}, "tick the box"),
        ):  # fmt: skip
            refused = oda.post(path, data=said | wrong)
            assert refused.status_code == 400 and says in refused.text, wrong
        done = oda.post(path, data=said)
        assert done.status_code == 303 and "proposed after the next pass" in oda.get(done.headers["location"]).text
        assert oda.post(path, data=said).headers["location"].endswith("done=already")
        assert "To be site-9 (relay), by oda: on its way to Git" in oda.get("/").text
        twin = f"/newcomers/{code(other)}/adopt"
        taken = oda.post(twin, data=form(oda, twin) | {"box": "site-9", "reason": "a new mast", "sure": "yes"})
        assert taken.status_code == 400 and "another machine is to be site-9" in taken.text
        web.store.notes.put(Newcomers())
        late = oda.post(twin, data=said)
        assert late.status_code == 409 and "no machine asks" in late.text
    assert [each.name for each in (web.store.notes.get(Adoptions) or Adoptions()).rows.values()] == ["site-9"]
    assert web.store.boxes.row("site-9") is None, "nothing here lets a key in"


def test_programs_act_by_a_token_and_by_no_cookie(web: Web) -> None:
    word = Tokens(web.store).add("ci", (Grant(Role.operator, "north"),), 1)
    with httpx.Client(base_url=web.url, headers={"authorization": f"Bearer {word}"}) as ci:
        path = API["box", "hold"].format(name="site-1")
        done = ci.post(path, json={"reason": WHY})
        assert done.status_code == 200 and done.json() == {
            "done": "box-hold", "new": True, "subject": "site-1", "reason": WHY,
        }  # fmt: skip
        assert ci.post(path, json={"reason": WHY}).json()["new"] is False
        assert ci.post(API["box", "hold"].format(name="site-2"), json={"reason": WHY}).status_code == 404
        assert ci.post(API["rollout", "pause"], json={"reason": WHY}).status_code == 403
        for body in ({}, {"reason": 5}, {"reason": WHY, "more": 1}, [], {"reason": "x" * 5000}):
            assert ci.post(path, json=body).status_code == 400, body
        assert ci.post(path, content=b'{"reason": "x"}', headers={"content-type": "text/plain"}).status_code == 415
        free = API["box", "release"].format(name="site-1")
        assert ci.post(free, json={"reason": "closed"}).status_code == 200
        gone = ci.post(free, json={"reason": "closed"})
        assert gone.status_code == 409 and "not any more" in gone.json()["detail"]
    with web.client("ada") as ada:
        assert ada.post(path, json={"reason": WHY}).status_code == 403, "what a page elsewhere could send along"
    assert holds.operators(web.store) == {}
    # Ada's refusal is noted meanwhile.
    assert next(who for who, _, _, _, outcome in web.acts() if not outcome.startswith("refused")) == "ci"
    assert word not in "".join(map(str, web.acts()))


def test_what_somebody_may_not_do_has_its_line(tmp_path: Path) -> None:
    """Of a page and of a program: whoever reads the log sees who tried."""
    store = Store.open(tmp_path / "state", migrate=True)
    Accounts(store).add("vic", "vic has a long password", (Grant(Role.viewer),))
    word = Tokens(store).add("ci", (Grant(Role.viewer),), 1)
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        web = Web(url, store)
        with web.client("vic") as vic:
            assert vic.post("/fleet/hold", data={"reason": WHY}).status_code == 403
            head = {"authorization": f"Bearer {word}"}
            program = httpx.post(url + API["rollout", "pause"], json={"reason": WHY}, headers=head)
            assert program.status_code == 403
        until = time.monotonic() + 20
        while time.monotonic() < until and len(web.acts()) < 2:
            time.sleep(0.05)
    told = {(act[0], act[1], act[4].partition(":")[0]) for act in web.acts()}
    assert told == {("vic", "fleet.hold", "refused"), ("ci", "rollout.pause", "refused")}
    assert word not in "".join(map(str, web.acts()))


def test_every_form_shows_the_commit_that_does_the_same(web: Web) -> None:
    web.store.notes.put(DEPLOYED)
    with web.client("oda") as oda:
        for act, path in PATHS.items():
            page = oda.get(path.format(name="site-1")).text
            assert "Possible as a commit instead" in page and "EventSource" not in page, act
        assert "suspended: &#34;oda: WHY&#34;" in oda.get("/boxes/site-1/hold").text
        assert 'class="live"' not in oda.get("/boxes/site-1/hold").text, "nobody loses what he types"


def test_where_the_audit_log_cannot_be_written_nothing_is_done(web: Web) -> None:
    folder = web.store.paths.audit
    with web.client("oda") as oda:
        said = form(oda, "/boxes/site-1/hold") | {"reason": WHY}
        folder.rename(folder.with_name("aside"))
        folder.write_text("in the way")
        try:
            refused = oda.post("/boxes/site-1/hold", data=said)
        finally:
            folder.unlink()
            folder.with_name("aside").rename(folder)
        assert refused.status_code == 503 and "audit log" in refused.text and WHY in refused.text
        assert holds.operators(web.store) == {}
        assert oda.post("/boxes/site-1/hold", data=said).status_code == 303


def test_logins_are_in_the_audit_log_and_only_admins_read_it(web: Web) -> None:
    with httpx.Client(base_url=web.url) as browser:
        said = form(browser, "/login")
        browser.post("/login", data=said | {"name": "oda", "password": "wrong wrong wrong"})
        done = browser.post("/login", data=said | {"name": "oda", "password": "oda has a long password"})
        assert done.status_code == 303
    until = time.monotonic() + 20
    while time.monotonic() < until and not {"done", "refused"} <= logins(web):
        time.sleep(0.05)
    assert {"done", "refused"} <= logins(web)
    assert "wrong wrong" not in "".join(path.read_text() for path in web.store.paths.audit.glob("*.jsonl"))
    with web.client("vic") as vic, web.client("oda") as oda, web.client("ada") as ada:
        assert [each.get("/audit").status_code for each in (vic, oda, ada)] == [403, 403, 200]
        assert [each.get("/api/v1/audit").status_code for each in (vic, oda, ada)] == [403, 403, 200]
        assert 'href="/audit"' in ada.get("/").text and 'href="/audit"' not in oda.get("/").text


def logins(web: Web) -> set[str]:
    return {act[-1].split(":")[0] for act in web.acts() if act[1] == "login"}


FIELDS = st.dictionaries(
    st.sampled_from(["reason", "seen", "wave", "sure", "done", "more"]),
    st.text(max_size=40) | st.sampled_from(["yes", "lab", f"lab {NEW}", " ", "\0", "x" * 3000]),
)


@given(act=st.sampled_from(sorted(ACTS)), fields=FIELDS, name=st.sampled_from(["site-1", "*", "", "a\0", "x" * 300]))
@settings(max_examples=12, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
def test_whatever_an_operator_sends_is_an_answer(
    web: Web, act: tuple[str, str], fields: dict[str, str], name: str
) -> None:
    with web.client("oda") as oda:
        path = PATHS[act].replace("{name}", quote(name, safe="") or "%20")
        answer = oda.post(path, data=form(oda, "/boxes/site-1/hold") | fields)
        assert answer.status_code in (303, 400, 404, 405, 409), answer.text
        assert "Traceback" not in answer.text
    assert verified(AuditLog(web.store.paths.audit).files.lines(), []).wrong == []
