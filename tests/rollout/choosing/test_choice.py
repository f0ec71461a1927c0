"""Which boxes are meant, and who of them comes first."""

from typing import Any

import pytest

from gitops.errors import TowerosError
from gitops.model import Health, Sync
from gitops.rollout.choosing.choice import LONGEST, MOST, Choice, Known
from gitops.rollout.choosing.named import is_revision
from gitops.rollout.status import BoxStatus
from gitops.store.notes.directory import Place

REVISION = "main@sha1:" + "5c1e" * 10


def box(name: str, place: Place | None = None, **said: Any) -> Known:
    usual = {"sync": Sync.SYNCED, "health": Health.HEALTHY, "wanted": REVISION, "running": REVISION, "sequence": 1,
             "phase": "idle", "since": 1, "seen": 1, "kernel": "6.12.9"}  # fmt: skip
    return Known(BoxStatus(name, **usual | said), place or Place())


FLEET = [
    box("fine", Place("vm", "lab", {"ring": "0"})),
    box("broken", Place("relay", "depot", {"ring": "1"}), health=Health.DEGRADED, error="No Space left"),
    box("away", Place("relay", "mast", {"ring": "1", "cell": "7"}), health=Health.MISSING, agent="2"),
    box("back", Place("vm", "depot"), fell_back="release 2: failed", running="v1.2@sha1:" + "ab" * 20),
    box("late", Place("vm", "mast"), sync=Sync.OUT_OF_SYNC, wanted="v2@sha1:" + "cd" * 20, held="waits for canary"),
    box("new", Place("vm"), health=Health.UNKNOWN, sync=Sync.UNKNOWN),
]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(), "away broken back new late fine"),
        (Choice(roles=("relay",)), "away broken"),
        (Choice(roles=("relay", "vm"), sites=("depot",)), "broken back"),
        (Choice(labels=(("ring", "1"), ("cell", "7"))), "away"),
        (Choice(labels=(("ring", ""),)), ""),
        (Choice(revisions=("v1.2",)), "back"),
        (Choice(revisions=("cdcdcdc",)), "late"),
        (Choice(revisions=("cdcdcd",)), ""),
        (Choice(revisions=(REVISION,), healths=("Healthy",)), "back late fine"),
        (Choice(syncs=("OutOfSync",)), "late"),
        (Choice(held=True), "late"),
        (Choice(silent=True), "away new"),
        (Choice(agents=("2",)), "away"),
        (Choice(agents=("-",), roles=("relay",)), "broken"),
        (Choice(sites=("-",)), "new"),
        (Choice(kernels=("6.12.9",), silent=True), "away new"),
        (Choice(text="no space"), "broken"),
        (Choice(text="cell=7"), "away"),
        (Choice(text=".*"), ""),
    ],
)
def test_those_are_meant_that_all_words_fit_and_trouble_comes_first(choice: Choice, names: str) -> None:
    assert " ".join(each.status.box for each in choice.of(reversed(FLEET))) == names


@pytest.mark.parametrize(
    "words",
    [{"text": "x" * (LONGEST + 1)}, {"labels": (("k", "v" * (LONGEST + 1)),)}, {"roles": ("a",) * (MOST + 1)}],
    ids=["text", "label", "many"],
)
def test_words_have_bounds(words: Any) -> None:
    with pytest.raises(TowerosError):
        Choice(**words)


def test_a_commit_is_named_by_seven_letters_and_a_tag_as_a_whole() -> None:
    assert is_revision(REVISION, "main") and is_revision(REVISION, "5c1e5c1") and is_revision(REVISION, REVISION)
    assert not is_revision(REVISION, "5c1e5c") and not is_revision(REVISION, "mai") and not is_revision("", "main")
