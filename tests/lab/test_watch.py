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
from gitops.lab.watch import Look, Watch
from gitops.model import Failure, Health, Phase, Publication, Report, Verdict
from tests.kit.published import Kit, kit


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    return kit(tmp_path / "kit")


def report_of(publication: Publication) -> Report:
    """The box runs it and is healthy."""
    release, document = publication.release, publication.document.sha256
    content = release.content.digest
    return Report(BOX, "boot", 1, 0, "1", release.sequence, document, content, Phase.IDLE, Health.HEALTHY)


def test_a_box_has_settled_when_it_runs_its_offer_in_health_and_rests(here: Kit) -> None:
    offer = here.publication(BOX, 7)
    good = report_of(offer)
    assert Look(offer, good, 0).settled and Look(offer, good, 0).runs(offer.revision.commit)
    unsettled = [None, replace(good, health=Health.PROGRESSING), replace(good, phase=Phase.PROBATION)]
    for report in (*unsettled, replace(good, content="another")):
        assert not Look(offer, report, 0).settled
    assert not Look(None, good, 0).settled and not Look(offer, good, 0).runs("another commit")


def test_a_box_went_back_when_it_says_so_and_runs_what_it_ran_before(here: Kit) -> None:
    before, offer = here.publication(BOX, 7), here.publication(BOX, 8, b"two")
    commit, release = offer.revision.commit, before.document.sha256
    failure = Failure(8, offer.document.sha256, Verdict.FAILED, "no answer")
    back = replace(report_of(before), failures=(failure,))
    assert Look(offer, back, 0).went_back(commit, release)
    later = replace(back, failures=(replace(failure, verdict=Verdict.INDETERMINATE),))
    for report in (None, report_of(before), later, replace(back, release=offer.document.sha256)):
        assert not Look(offer, report, 0).went_back(commit, release)
    assert not Look(before, back, 0).went_back(commit, release)


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
