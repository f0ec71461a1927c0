"""What the demo takes for an end: a box that settled, one that went back, a worker that is gone."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from gitops.errors import TowerosError
from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine
from gitops.lab.setup import BOX
from gitops.lab.watch import Watch, runs, went_back
from gitops.model import BoxState, Failure, Health, Phase, Verdict, Version
from tests.kit.published import Kit, kit


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    return kit(tmp_path / "kit")


OLD = Version("r7", "c7", "main@sha1:seven", 7)
NEW = Version("r8", "c8", "main@sha1:eight", 8)
GOOD = BoxState(BOX, 1, published=NEW, received=1000, running=NEW, phase=Phase.IDLE, reported=Health.HEALTHY)


def test_a_box_has_settled_when_it_runs_its_offer_in_health_and_rests() -> None:
    assert GOOD.settled and runs(GOOD, "eight")
    silent = BoxState(BOX, 1, published=NEW)
    restless = [replace(GOOD, reported=Health.PROGRESSING), replace(GOOD, phase=Phase.PROBATION)]
    for state in (silent, *restless, replace(GOOD, running=OLD), replace(GOOD, published=Version())):
        assert not state.settled
    assert not runs(GOOD, "seven") and not runs(silent, "eight") and not runs(replace(GOOD, running=OLD), "eight")


def test_a_box_went_back_when_it_says_so_and_runs_what_it_ran_before() -> None:
    failure = Failure(8, "r8", Verdict.FAILED, "no answer")
    back = replace(GOOD, running=OLD, failures=(failure,))
    assert went_back(back, "eight", "r7")
    later = replace(back, failures=(replace(failure, verdict=Verdict.INDETERMINATE),))
    for state in (BoxState(BOX), replace(back, failures=()), later, replace(back, running=NEW)):
        assert not went_back(state, "eight", "r7")
    assert not went_back(replace(back, published=OLD), "eight", "r7")
    assert not went_back(replace(back, reported=Health.PROGRESSING), "eight", "r7"), "its health is to be seen yet"


def test_waiting_prints_what_happens_and_ends_with_the_worker(here: Kit, tmp_path: Path) -> None:
    off = Machine(tmp_path / "machine", Hardware(tmp_path / "disk.raw", tmp_path / "vars.fd"))
    console = Console(file=io.StringIO())
    watch = Watch(here.store, console, tmp_path)
    here.store.events.add(BOX, "Normal", "Published", "release 7")
    with pytest.raises(TowerosError, match="the box ended"):
        watch.until(lambda: False, off)
    watch.until(lambda: True, off)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [f"    {BOX}: Published: release 7"], "once"
