"""A plan says which boxes restart twice, as they may not skip a floor, and into which release first: a real clone."""

from pathlib import Path

import pytest

from gitops.rollout.simulating.boxes import Habits
from gitops.workflows.preview import preview
from gitops.workflows.question import of_clone
from gitops.workflows.turns.forecast import forecast
from tests.kit.console import toweros
from tests.kit.site import HELLO, WORSE, Site

ROLE = "boot: [boot/a.yml]\n"
FLOOR = {"fleet.yaml": "source: {branch: main}\nfloor: v2\n"}
FIRST = "3 boxes: a, b, c restart twice, first into v2, which nobody skips (`floor`); meanwhile stop: services hello"
ONCE = "3 boxes: a, b, c restart once; meanwhile stop: services hello"


@pytest.fixture
def clone(site: Site) -> Path:
    """v1; v2, a floor from the last commit on; and what comes after it."""
    site.remote.git("tag", "v1")
    site.commit(HELLO)
    site.remote.git("tag", "v2")
    site.commit({**WORSE, **FLOOR})
    return site.remote.work


def told(site: Site, base: str, head: str = "HEAD") -> tuple[str, ...]:
    return preview(of_clone(site.settings, None, site.remote.work, base, head), None).effects


def test_who_is_behind_a_floor_restarts_twice_and_who_stands_on_it_once(site: Site, clone: Path) -> None:
    assert told(site, "v1") == (FIRST,)
    assert told(site, "v2") == (ONCE,)


def test_a_plan_of_files_that_nobody_committed_knows_it_too(site: Site, clone: Path) -> None:
    (clone / "pkg/hello/file").write_text("hello 4\n")
    plan = preview(of_clone(site.settings, None, clone, "v1", None), None)
    assert plan.effects == (FIRST,)
    (done,) = plan.rollout
    assert done.startswith("done: "), "what takes two restarts has a date, though no rule says who goes first"


def test_a_floor_that_changes_nothing_for_a_box_or_is_the_plan_itself_is_no_stop(site: Site, clone: Path) -> None:
    assert told(site, "v1", "v2") == (ONCE,), "no floor is in v2's own files"
    site.commit({"fleet.yaml": "source: {branch: main}\nfloor: [v1, v2, v3]\n"})
    site.remote.git("tag", "v3")
    site.commit({"README.md": "x\n"})
    assert told(site, "v2") == (ONCE,), "v3 is what the plan makes, and v1 is behind"
    assert told(site, "v1") == (FIRST,)


def test_a_box_that_the_floor_did_not_have_goes_straight(site: Site, clone: Path) -> None:
    site.commit({"boxes/d.yaml": "role: vm\n", **HELLO})
    site.remote.git("tag", "v4")
    site.commit({"pkg/hello/file": "hello 5\n"})
    lines = told(site, "v4")
    assert lines == ("4 boxes: a, b, c, d restart once; meanwhile stop: services hello",)


def test_a_floor_that_the_clone_does_not_know_is_said(site: Site, clone: Path) -> None:
    site.commit({"fleet.yaml": "source: {branch: main}\nfloor: v9\n"})
    found = preview(of_clone(site.settings, None, clone, "v1", "HEAD"), None)
    assert any(line.startswith("floor v9: this clone has no such tag") for line in found.steering)


def test_the_forecast_lets_them_stop_there_and_says_so(site: Site, clone: Path) -> None:
    found = forecast(clone, "HEAD", 2, Habits(spread=0, leases=False))
    assert found.floors == {"v2": ("a", "b", "c")} and set(found.restarts.values()) == {2}
    said = toweros("forecast", "-C", clone, "--commits", "2").stderr
    assert "floor v2: who is behind it restarts twice, first into it: a, b, c" in said.replace("\n", " ")
