"""Three looks that a box missed are Late, ten are Missing: by its own poll, whatever that is."""

from hypothesis import given
from hypothesis import strategies as st

from gitops.model import BoxState, Health, Hold, HoldReason, Phase, Version
from gitops.model.machines.silence import BUSY, MAX_POLL, MAX_STRETCH, POLL, REPEAT, Silence

POLLS = st.integers(1, MAX_POLL)
EVERY = st.integers(1, MAX_POLL * MAX_STRETCH)
DAY = 86_400


def box(poll: int, every: int, phase: Phase = Phase.IDLE) -> BoxState:
    """It was heard at 1000."""
    said = {"received": 1000, "running": Version("r", "c"), "reported": Health.HEALTHY}
    return BoxState("demo-1", 1, phase=phase, poll=poll, every=every, **said)  # type: ignore[arg-type]


@given(POLLS)
def test_three_missed_looks_are_late_and_ten_are_missing(poll: int) -> None:
    look, one = max(poll, POLL), box(poll, poll)
    assert one.health(1000 + 3 * look) == Health.HEALTHY
    assert one.health(1000 + 3 * look + 1) == Health.LATE
    assert one.health(1000 + 10 * look) == Health.LATE
    assert one.health(1000 + 10 * look + 1) == Health.MISSING


@given(POLLS, EVERY, st.booleans())
def test_missing_is_never_before_late_nor_before_the_box_was_to_speak(poll: int, every: int, busy: bool) -> None:
    silence = Silence.of(poll, every, busy)
    assert every < silence.late <= silence.missing


@given(POLLS, POLLS, EVERY)
def test_a_box_that_looks_more_seldom_is_given_no_less(poll: int, more: int, every: int) -> None:
    seldom, often = Silence.of(max(poll, more), every), Silence.of(min(poll, more), every)
    assert seldom.late >= often.late and seldom.missing >= often.missing


def test_a_box_that_looks_once_a_day_is_not_missing_after_an_hour() -> None:
    daily = box(DAY, DAY)
    assert daily.health(1000 + 3600) == daily.health(1000 + 2 * DAY) == Health.HEALTHY
    assert (daily.health(1000 + 4 * DAY), daily.health(1000 + 11 * DAY)) == (Health.LATE, Health.MISSING)


def test_a_changed_poll_counts_once_the_box_says_it() -> None:
    """Git may say 30 s by now: a box that still looks once a day does not know yet."""
    assert box(DAY, DAY).health(1000 + 3600) == Health.HEALTHY
    assert box(30, 30).health(1000 + 3600) == Health.MISSING


def test_a_box_that_downloads_or_restarts_is_given_its_time() -> None:
    for phase in set(Phase) - {Phase.IDLE}:
        assert box(30, 30, phase).health(1000 + BUSY) == Health.HEALTHY
        assert box(30, 30, phase).health(1000 + BUSY + 1) == Health.MISSING


def test_an_agent_that_says_nothing_of_its_poll_is_missing_when_it_always_was() -> None:
    older = box(POLL, REPEAT)
    assert (older.health(1900), older.health(1901)) == (Health.HEALTHY, Health.LATE)
    assert (older.health(2500), older.health(2501)) == (Health.LATE, Health.MISSING)


def test_who_holds_a_box_and_what_the_rollout_goes_by_are_not_changed_by_late() -> None:
    held = BoxState("a", 1, hold=Hold(HoldReason.SUSPENDED, "ada"), received=1000, reported=Health.HEALTHY, every=30)
    assert held.health(1000 + 100) == Health.SUSPENDED
    assert box(30, 30).heard(1000 + 100) == Health.HEALTHY and box(30, 30).heard(1000 + 301) == Health.MISSING
