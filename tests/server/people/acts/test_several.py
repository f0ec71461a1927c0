"""Several boxes at once by the API: the number is agreed on first, and nobody acts where he may not."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gitops.model.access.person import Grant, Role
from gitops.rollout import holds
from gitops.server import create_app, serve
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.store.notes.directory import Place
from gitops.store.notes.documents import Suspended
from gitops.workflows.access.tokens import Tokens
from tests.kit.told import Told, tell

PLACES = {"a": Place("relay", "north"), "b": Place("relay", "south"), "c": Place("core", "north", {"ring": "1"})}
PEOPLE = {"oda": Grant(Role.operator), "nora": Grant(Role.operator, "north"), "vic": Grant(Role.viewer)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Store, dict[str, str]]]:
    store, now = Store.open(tmp_path_factory.mktemp("several") / "state"), int(time.time())
    tell(store, [Told(name, place) for name, place in PLACES.items()], now)
    keys = {name: Tokens(store).add(name, (grant,), 30) for name, grant in PEOPLE.items()}
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0") as url:
        yield url, store, keys


@pytest.fixture
def web(served: tuple[str, Store, dict[str, str]]) -> tuple[str, Store, dict[str, str]]:
    served[1].notes.put(Suspended())
    return served


def ask(web: tuple[str, Store, dict[str, str]], who: str, act: str, **said: Any) -> httpx.Response:
    url, _, keys = web
    heads = {"authorization": f"Bearer {keys[who]}"}
    return httpx.post(f"{url}/api/v1/boxes/{act}", headers=heads, json={"reason": "the mast", **said})


def held(web: tuple[str, Store, dict[str, str]]) -> list[str]:
    return sorted(holds.operators(web[1]))


def test_the_number_is_told_first_and_then_it_is_done_with_it(web: tuple[str, Store, dict[str, str]]) -> None:
    for number in ({}, {"boxes": 3}):
        told = ask(web, "oda", "hold", roles=["relay"], **number)
        assert told.status_code == 409 and '"boxes": 2' in told.json()["detail"] and held(web) == []
    done = ask(web, "oda", "hold", roles=["relay"], boxes=2).json()
    assert (done["done"], done["boxes"], done["new"], done["before"]) == ("boxes-hold", 2, 2, 0)
    assert held(web) == ["a", "b"]
    assert ask(web, "oda", "release", sites=["north"], boxes=2).json()["new"] == 1 and held(web) == ["b"]
    assert ask(web, "oda", "retry", sites=["north"], boxes=2).json()["before"] == 2, "nothing failed there"
    subjects = {(line.act.what, line.act.subject) for line, _ in AuditLog(web[1].paths.audit).newest()}
    assert ("boxes.hold", "2 boxes: role=relay") in subjects


def test_who_is_of_one_site_means_the_boxes_of_that_site(web: tuple[str, Store, dict[str, str]]) -> None:
    assert ask(web, "nora", "hold", roles=["relay"], boxes=1).json()["new"] == 1 and held(web) == ["a"]
    assert ask(web, "nora", "hold", sites=["south"], boxes=1).status_code == 400, "there is no such site for her"
    assert ask(web, "vic", "hold", sites=["south"], boxes=1).status_code == 403
    assert held(web) == ["a"]


@pytest.mark.parametrize(
    "said", [{}, {"sites": "north"}, {"labels": {"ring": 1}}, {"boxes": -1}, {"everything": True}, {"reason": " "}]
)
def test_words_that_mean_nobody_or_are_none_change_nothing(
    web: tuple[str, Store, dict[str, str]], said: dict[str, Any]
) -> None:
    known = {"sites": ["north"], "boxes": 2} if "reason" in said else {}
    assert ask(web, "oda", "hold", **known, **said).status_code == 400 and held(web) == []
