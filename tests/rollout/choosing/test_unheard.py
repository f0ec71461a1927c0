"""Is it the box, or its site? Asked of every box that is silent, where there are others beside it."""

import json
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from gitops.rollout.choosing.unheard import Unheard, unheard
from gitops.rollout.status import box_status
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store import Store, tables
from gitops.store.notes.directory import Place
from gitops.store.notes.reported import BoxFacts
from tests.kit.console import toweros
from tests.kit.told import Told, tell

HOUR = 3600


@pytest.fixture
def now() -> int:
    return int(time.time())


@pytest.fixture
def store(tmp_path: Path, now: int) -> Store:
    """Four boxes of site b, of which three were cut off an hour ago; one that is alone at its site, one at none."""
    made = Store.open(tmp_path / "state", migrate=True)
    sites = {"b-1": "b", "b-2": "b", "b-3": "b", "b-4": "b", "c-1": "c", "d-1": ""}
    tell(made, [Told(name, Place("relay", site)) for name, site in sites.items()], now)
    for name, ago in {"b-1": HOUR, "b-2": HOUR - 60, "b-3": HOUR + 90, "c-1": HOUR, "d-1": HOUR}.items():
        heard(made, name, now - ago)
    made.notes.put(BoxFacts(30, 30, "1", "6.12", ("192.0.2.7",)), "b-1")
    return made


def heard(store: Store, name: str, then: int) -> None:
    with store._database.write() as connection:
        connection.execute(update(tables.reports).where(tables.reports.c.box == name).values(received=then))


def of(store: Store, name: str, now: int) -> Unheard | None:
    status = box_status(store, name, now)
    assert status
    return unheard(store, status, now)


def test_a_site_that_was_cut_off_is_told_from_a_box_that_died(store: Store, now: int) -> None:
    found = of(store, "b-1", now)
    assert found and (found.boxes, found.silent, found.together, found.since) == (4, 3, 3, now - HOUR + 60)
    assert found.words.startswith("3 of 4 boxes of site b are silent since ") and "power of the site" in found.words
    heard(store, "b-4", now - HOUR)
    assert (all_of := of(store, "b-1", now)) and all_of.words.startswith("all 4 boxes of site b")


def test_a_box_beside_others_that_are_heard_is_the_box(store: Store, now: int) -> None:
    for name in ("b-2", "b-3"):
        heard(store, name, now)
    found = of(store, "b-1", now)
    assert found and found.words == "3 of the 3 other boxes of site b are heard: this box, or its own line"


def test_boxes_that_fell_silent_at_another_time_are_another_trouble(store: Store, now: int) -> None:
    for name in ("b-2", "b-3", "b-4"):
        heard(store, name, now - 9 * HOUR)
    found = of(store, "b-1", now)
    assert found and found.words == "the 3 other boxes of site b are silent, too, but for another time"


def test_of_a_box_that_is_heard_or_alone_or_nowhere_nothing_is_concluded(store: Store, now: int) -> None:
    assert of(store, "b-4", now) is None, "it is heard"
    assert [found.words for name in ("c-1", "d-1") if (found := of(store, name, now))] == ["", ""]


def test_status_page_and_api_say_where_it_was_how_long_ago_and_who_is_silent_with_it(store: Store) -> None:
    shown = " ".join(toweros("status", "b-1", "--state", store.paths.root).stdout.split())
    assert "was at 192.0.2.7, 1 h ago" in shown and "3 of 4 boxes of site b are silent" in shown
    assert "was at no address that it said, 1 h ago" in " ".join(
        toweros("status", "c-1", "--state", store.paths.root).stdout.split()
    )
    said = json.loads(toweros("status", "b-1", "-o", "json", "--state", store.paths.root).stdout)["unheard"]
    assert (said["site"], said["boxes"], said["silent"], said["addresses"]) == ("b", 4, 3, ["192.0.2.7"])
    with TestClient(create_app(store, Settings(state=store.paths.root))) as web:
        assert web.get("/api/v1/boxes/b-1").json()["unheard"] == said
        assert "unheard" not in web.get("/api/v1/boxes/b-4").json()
        page = web.get("/boxes/b-1").text
    assert said["says"] in page and "192.0.2.7" in page
