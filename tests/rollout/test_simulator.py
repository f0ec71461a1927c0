"""A fleet lives through weeks of commits; what was promised of the rollout holds at every moment of it."""

import pytest

from gitops.model import Box, HoldReason, Policy, Spec
from gitops.model.rollout.waves import Careful, Share, Wave
from gitops.rollout.counting.standing import FLEET
from gitops.rollout.simulating.boxes import Habits
from gitops.rollout.simulating.simulator import DAY, HOUR, Commit, Run, copies, simulate

BEGINS = 1_795_000_000
"""A Wednesday, 11:06 UTC."""
SPEC = Spec("kernel", "")
NIGHTS = ("mon-thu 01:00-05:00",)
CAREFUL = Careful(
    (
        Wave("lab", labels=(("ring", "lab"),), soak=4 * HOUR),
        Wave("tenth", percent=10, soak=6 * HOUR, missing=Share(5, True)),
    ),
    (("fleet", Share(5, True)), ("site", Share(2))),
    ("cell",),
)


def fleet(number: int, **members: object) -> dict[str, Box]:
    labels = [(("cell", f"c-{at // 2}"), *((("ring", "lab"),) if at < 10 else ())) for at in range(number)]
    boxes = [
        Box(f"b-{at:05}", f"role-{at % 3}", SPEC, site=f"n-{at // 10}", labels=labels[at], **members)  # type: ignore[arg-type]
        for at in range(number)
    ]
    return {each.name: each for each in boxes}


def month(number: int, habits: Habits, careful: Careful = CAREFUL, *, days: int = 30, **members: object) -> Run:
    commits = [Commit(at * 5 * DAY, f"v{at + 1}") for at in range(days // 5)]
    policy = Policy(careful=careful, max_failures=1000)
    return simulate(fleet(number, **members), policy, commits, habits, begins=BEGINS, days=days)


def most(run: Run, kind: str) -> int:
    return max(number for group, number in run.most.items() if group[0] == kind)


@pytest.mark.parametrize("seed", range(3))
def test_never_more_at_once_than_allowed_whatever_fails_or_falls_silent(seed: int) -> None:
    run = month(200, Habits(fails=5, silent=20, seed=seed))
    assert most(run, FLEET) <= 10 and most(run, "site") <= 2 and most(run, "cell") == 1
    assert {row.content for row in run.rows} == {f"v{at}" for at in range(1, 7)}


HARSH = {"lost": 300, "calls": 200, "skew": 1200, "silent": 20, "fails": 5}
"""A third of all answers never arrives, a fifth of the permissions meets a veto, clocks are up to 40 minutes apart."""


@pytest.mark.parametrize("seed", range(3))
def test_no_two_neighbours_ever_restart_at_once_whatever_is_lost_and_whatever_clocks_say(seed: int) -> None:
    """In truth, not by what was heard: a permission that was taken back may still be used by who did not hear that."""
    run = month(200, Habits(seed=seed, **HARSH), days=20, windows=NIGHTS)  # type: ignore[arg-type]
    assert most(run, "cell") == 1 and most(run, "site") <= 2 and most(run, FLEET) <= 10
    assert len(run.ran) > 50, "and boxes go all the same"


def test_what_is_lost_costs_time_and_nobodys_turn() -> None:
    habits = Habits(lost=300, calls=100, skew=900, seed=3)
    run = month(100, habits, days=30)
    assert run.rows[-1].healthy == 100 and not run.rows[-1].waits
    assert run.took["v1"] > month(100, Habits(seed=3), days=5).took["v1"]


def test_a_permission_that_was_used_up_by_a_wrong_clock_is_given_anew() -> None:
    """Whose clock is an hour ahead holds every permission for over, and gives it back: the others go on."""
    run = month(20, Habits(skew=3600, seed=5), Careful(never_together=("site",)), days=5)
    behind = 20 - run.rows[-1].healthy
    assert 0 < behind < 20 and most(run, "site") == 1


def test_everybody_has_every_release_in_the_end() -> None:
    run = month(200, Habits())
    assert run.took.keys() == {f"v{at}" for at in range(1, 7)}
    assert len(run.offers) == 6 * 200
    assert run.rows[-1].healthy == 200 and not run.rows[-1].waits


def test_nobody_begins_outside_of_the_windows() -> None:
    run = month(100, Habits(), days=10, windows=NIGHTS, timezone="Europe/Berlin")
    hours = {((BEGINS + time) // HOUR + 1) % 24 for time, _ in run.offers}
    assert run.offers and hours <= {1, 2, 3, 4}


def test_a_bad_release_stops_in_its_first_wave() -> None:
    run = month(200, Habits(fails=1000), days=5)
    assert len({box for _, box in run.offers}) <= 10 == len([box for box in fleet(10)])
    assert run.rows[-1].healthy == 0 and HoldReason.WAVE_STOPPED in run.rows[-1].waits


def test_the_same_seed_is_the_same_month() -> None:
    habits = Habits(fails=5, silent=20, seed=7)
    assert month(60, habits).offers == month(60, habits).offers
    assert month(60, habits).offers != month(60, Habits(fails=5, silent=20, seed=8)).offers


def test_ten_thousand_boxes() -> None:
    commits = [Commit(0, "v1")]
    policy = Policy(careful=CAREFUL, max_failures=1000)
    run = simulate(fleet(10_000), policy, commits, Habits(look=HOUR), begins=BEGINS, days=4)
    assert run.rows[-1].healthy == 10_000 and most(run, FLEET) == 500


def test_copies_are_other_boxes_at_other_sites() -> None:
    boxes = copies(fleet(3), 7)
    assert len(boxes) == 7 and all(name == box.name for name, box in boxes.items())
    assert {box.site for box in boxes.values()} == {"n-0", "n-0-1", "n-0-2"}
    assert copies({}, 5) == {}
