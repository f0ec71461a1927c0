"""When who would go, by the clock of now: waves, windows, moratoria, and boxes that would never go."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from gitops.fleet import load_fleet
from gitops.model import Revision
from gitops.workflows.preview import Question, preview
from gitops.workflows.turns.dates import dates
from gitops.workflows.turns.stopovers import Stopovers
from tests.kit.fleets import TREE

NOW = int(datetime(2026, 11, 30, 10, tzinfo=UTC).timestamp())
"""A Monday."""
OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)
HELLO = {"pkg/hello/file": "other\n"}
ALL = ("one", "two", "three")
FLOOR = Stopovers(("v1",), dict.fromkeys(ALL, ("v1",)))


def told(rules: str, touched: tuple[str, ...] = ALL) -> tuple[str, ...]:
    fleet = load_fleet(TREE.with_files({"fleet.yaml": f"source: {{branch: main}}\n{rules}"}))
    return dates(fleet, touched, NOW)


def test_a_wave_waits_for_the_window_and_the_next_one_for_its_soak() -> None:
    rules = 'rollout: {waves: [{name: lab, boxes: [one], soak: 2 days}]}\nwindows: ["daily 01:00-05:00"]\n'
    lab, rest, done = told(rules)
    assert lab == "lab: 1 box: 2026-12-01 01:00 UTC"
    assert rest.startswith("rest: 2 boxes: 2026-12-03 01:") and rest.endswith("UTC")
    assert done.startswith("done: 2026-12-03 0") and done.endswith("if nobody fails and each needs 15 minutes")


def test_a_moratorium_moves_it_and_the_boxes_own_clock_counts() -> None:
    rules = 'windows: ["daily 01:00-05:00"]\ntimezone: Europe/Berlin\nmoratoria: ["2026-11-30..2026-12-06: the fair"]\n'
    (done,) = told(f"rollout: {{canaries: 3}}\n{rules}")
    assert done.startswith("done: 2026-12-07 00:1"), "one o'clock there is midnight UTC"


def test_who_is_frozen_would_never_go_and_that_is_said() -> None:
    assert told('freeze: "ada: the mast"\n') == ("not within 60 days: one, three, two (frozen: ada: the mast)",)


def test_of_a_fleet_too_large_to_be_lived_through_the_rest_is_counted_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By whoever may go at once, in the windows, and after the soaks to come: the day is that of the whole story."""
    boxes = {f"boxes/b-{number}.yaml": "role: vm\nsite: n-1\n" for number in range(60)}
    waves = "{name: lab, boxes: [one]}, {name: half, percent: 50, soak: 3 days}"
    rules = f"rollout: {{waves: [{waves}], max_unavailable: {{fleet: 2}}}}\nwindows: ['daily 01:00-03:00']\n"
    fleet = load_fleet(TREE.with_files({"fleet.yaml": f"source: {{branch: main}}\n{rules}", **boxes}))
    exact = dates(fleet, fleet.boxes.keys(), NOW)[-1]
    monkeypatch.setattr("gitops.workflows.turns.dates.BUDGET", 63 * 8)
    about = dates(fleet, fleet.boxes.keys(), NOW)[-1]
    assert about.startswith("done: about 2026-12-") and "of 63 boxes" in about
    assert abs(int(exact[14:16]) - int(about[20:22])) <= 1, (exact, about)
    rules += "freeze: 'ada: x'\n"
    frozen = load_fleet(TREE.with_files({"fleet.yaml": f"source: {{branch: main}}\n{rules}", **boxes}))
    assert dates(frozen, frozen.boxes.keys(), NOW)[-1].startswith("not within 60 days: b-0, b-1, b-10 and 60 more")


def test_a_floor_on_the_way_is_a_restart_before() -> None:
    fleet = load_fleet(TREE)
    straight, first = (dates(fleet, ALL, NOW, stops)[-1] for stops in (Stopovers(), FLOOR))
    assert straight.startswith("done: 2026-11-30 10:") and first > straight


def test_nobody_who_changes_has_no_dates() -> None:
    assert told("", ()) == ()


@pytest.mark.parametrize("rules", ["rollout: {max_unavailable: 1}\n", ""], ids=["rules", "none"])
def test_a_plan_says_it_where_the_fleet_has_rules(rules: str) -> None:
    base = TREE.with_files({"fleet.yaml": f"source: {{branch: main}}\n{rules}"})
    change: Mapping[str, str] = HELLO
    summary = preview(Question((OLD, base), (NEW, base.with_files(change))), None)
    assert any(line.startswith("done: ") for line in summary.rollout) == bool(rules)
