"""The state of a box is put together from what the store's objects wrote, whoever wrote first."""

from pathlib import Path

import pytest

from gitops.model import (
    BoxState,
    Failure,
    Health,
    Hold,
    HoldReason,
    Phase,
    Publication,
    Report,
    Verdict,
    Version,
)
from gitops.store import Store
from tests.kit.published import Kit, kit


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    return kit(tmp_path / "fleet")


def version(publication: Publication) -> Version:
    release = publication.release
    revision = publication.revision
    return Version(publication.document.sha256, release.content.digest, str(revision), release.sequence)


def report(publication: Publication, counter: int = 1, *failures: Failure) -> Report:
    runs = version(publication)
    known = ("demo-1", "b", counter, 1, "1", runs.sequence, runs.release, runs.content)
    return Report(*known, Phase.IDLE, Health.DEGRADED, "no space", failures=failures)


def test_nobody_knows_a_box_without_rows(here: Kit) -> None:
    assert here.store.states.one("demo-1") is None and here.store.states.all() == []


def test_everything_that_is_kept_of_a_box(here: Kit) -> None:
    store, one, two = here.store, here.publication("demo-1", 1), here.publication("demo-1", 2, b"two")
    hold = Hold(HoldReason.WAITS_FOR_CANARY, "a: Progressing")
    failure = Failure(2, two.document.sha256, Verdict.INDETERMINATE, "power", 5, "log")
    store.boxes.enroll("demo-1", "ab" * 32)
    store.offers.save_published(one, "k")
    store.offers.save_candidate(two, "k")
    store.holds.save({"demo-1": hold})
    store.boxes.save_report(report(one, 1, failure), now=100)
    state = store.states.one("demo-1")
    assert state is not None and state.enrolled > 0
    assert state == BoxState(
        "demo-1", state.enrolled, 0, version(one), version(two), hold, 100, 100, version(one), Phase.IDLE,
        Health.DEGRADED, "no space", (failure,), frozenset(),
    )  # fmt: skip
    assert store.states.all() == [state]


def test_each_table_alone_makes_a_box(here: Kit) -> None:
    here.store.boxes.enroll("enrolled", "ab" * 32)
    here.store.offers.save_published(here.publication("published", 1), "k")
    here.store.offers.save_candidate(here.publication("waiting", 1), "k")
    assert [state.name for state in here.store.states.all()] == ["enrolled", "published", "waiting"]


def published(store: Store, publication: Publication) -> None:
    """As a pass does it."""
    store.offers.save_candidate(publication, "k")
    store.offers.promote([publication.release.box])


def test_a_failed_release_stands_for_its_content(here: Kit) -> None:
    store, one, two = here.store, here.publication("demo-1", 1), here.publication("demo-1", 2, b"two")
    published(store, one)
    published(store, two)
    failed = Failure(2, two.document.sha256, Verdict.FAILED, "no answer")
    unknown = Failure(3, "ef" * 32, Verdict.FAILED, "no answer")
    undecided = Failure(1, one.document.sha256, Verdict.INDETERMINATE, "power")
    store.boxes.save_report(report(one, 1, failed, unknown, undecided))
    state = store.states.one("demo-1")
    assert state is not None and state.failed == {two.release.content.digest}
    store.boxes.save_report(report(one, 2))
    state = store.states.one("demo-1")
    assert state is not None and state.failed == frozenset() and state.failures == ()


def test_a_release_is_remembered_as_long_as_it_is_offered(here: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    store, old, new = here.store, here.publication("demo-1", 1), here.publication("demo-2", 2, b"two")
    published(store, old)
    monkeypatch.setattr("gitops.store.offers.KEPT", -10)
    published(store, new)
    store.boxes.save_report(report(old, 1, Failure(1, old.document.sha256, Verdict.FAILED, "no answer")))
    state = store.states.one("demo-1")
    assert state is not None and state.failed == {old.release.content.digest}


def test_holds_are_those_of_the_last_pass(here: Kit) -> None:
    stopped = Hold(HoldReason.STOPPED, "a, b")
    here.store.holds.save({"a": stopped, "b": Hold(HoldReason.REMOVED)})
    here.store.holds.save({"a": stopped})
    assert here.store.holds.all() == {"a": stopped}
    here.store.holds.save({})
    assert here.store.holds.all() == {}


def test_of_boxes_that_are_as_they_were_nothing_is_read_again(here: Kit) -> None:
    one, two = here.publication("demo-1", 1), here.publication("demo-2", 1)
    for each in (one, two):
        here.store.offers.save_published(each, "key")
        here.store.boxes.enroll(each.release.box, "ab" * 32)
    before = here.store.states.all()
    assert here.store.boxes.save_report(report(one))
    after = here.store.states.all()
    assert [new is old for old, new in zip(before, after, strict=True)] == [False, True]
    assert after[0].running == version(one) and after == Store.open(here.store.paths.root).states.all()
