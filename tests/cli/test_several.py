"""`toweros suspend` and `resume` of a site, a role, a label: how many that is stands there before it is done."""

import time
from pathlib import Path

import pytest

from gitops.rollout import holds
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.store.notes.directory import Place
from tests.kit.console import toweros
from tests.kit.told import Told, tell

PLACES = {"a": Place("relay", "depot"), "b": Place("relay", "mast"), "c": Place("core", "depot", {"ring": "1"})}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.open(tmp_path / "state", migrate=True)
    tell(made, [Told(name, place) for name, place in PLACES.items()], int(time.time()))
    return made


def said(store: Store, verb: str, *words: str) -> str:
    done = toweros(verb, *words, "--who", "ada", "--state", store.paths.root)
    return " ".join(f"{done.output} {done.exception or ''} {getattr(done.exception, 'hint', '')}".split())


def held(store: Store) -> list[str]:
    return sorted(holds.operators(store))


def test_a_site_is_held_and_let_go_with_the_same_words(store: Store) -> None:
    words = said(store, "suspend", "--site", "depot", "-m", "the mast is open", "--yes")
    assert "2 boxes are held (site=depot): a, c" in words and held(store) == ["a", "c"]
    toweros("suspend", "b", "-m", "another", "--state", store.paths.root)
    words = said(store, "resume", "--site", "depot", "--role", "relay", "--role", "core", "--yes")
    assert "2 boxes let go" in words and held(store) == ["b"]


def test_nothing_is_done_before_somebody_who_saw_the_number_agreed(store: Store) -> None:
    words = said(store, "suspend", "--role", "relay", "-m", "why")
    assert "nobody is here to be asked: 2 boxes are held (role=relay): a, b" in words and "--yes" in words
    assert held(store) == []


def test_the_audit_log_says_the_number_and_each_box_has_its_own_line(store: Store) -> None:
    said(store, "suspend", "--label", "ring=1", "-m", "why", "-y")
    said(store, "suspend", "--site", "depot", "-m", "why", "-y")
    log = [(line.act.what, line.act.subject, outcome) for line, outcome in AuditLog(store.paths.audit).newest()]
    assert ("boxes.hold", "1 box: ring=1", "done: 1 box") in log
    assert ("boxes.hold", "2 boxes: site=depot", "done: 1 box; 1 needed nothing") in log
    assert ("box.hold", "a", "done") in log and ("box.hold", "c", "done already") in log


@pytest.mark.parametrize(
    "words", [(), ("a", "--all"), ("a", "--site", "depot"), ("--all", "--role", "relay")], ids=" ".join
)
def test_one_box_or_several_or_all_and_no_two_of_these(store: Store, words: tuple[str, ...]) -> None:
    for verb in (("suspend", "-m", "why"), ("resume",)):
        assert "name a box, or say which boxes" in said(store, verb[0], *words, *verb[1:], "--yes")
    assert held(store) == []


def test_a_site_that_no_box_has_is_told_with_the_nearest(store: Store) -> None:
    assert "no box has the site depto is depot meant?" in said(store, "suspend", "--site", "depto", "-m", "w", "-y")
