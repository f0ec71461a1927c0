"""When a run is due: whatever stops, jumps or comes twice, a time is made up once and never run twice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from gitops.model.updates.patching import WindowRun
from gitops.model.updates.when import DAY, When
from gitops.security.schedule.due import FIRST_RETRY, MAX_RETRY, claimed, counted, due, finished, next_time

DAILY = When(every="day at 02:30")
START = 1_795_000_000


def at_work(run: WindowRun, now: int) -> tuple[WindowRun, bool]:
    """One look of a controller, which finishes what it begins."""
    run = counted(run, now)
    if not due(DAILY, run, now):
        return run, False
    return finished(claimed(run, now), now, "done"), True


def test_the_first_look_begins_to_count_and_runs_nothing() -> None:
    assert at_work(WindowRun(), START) == (WindowRun(last=START), False)


@given(some.lists(some.integers(1, 5 * DAY), min_size=1, max_size=40))
def test_a_time_that_passed_is_made_up_once_however_seldom_somebody_looks(pauses: list[int]) -> None:
    run, now, runs = counted(WindowRun(), START), START, list[int]()
    for pause in pauses:
        before = run.last
        now += pause
        run, ran = at_work(run, now)
        assert ran == (DAILY.after(before) <= now)
        assert not at_work(run, now)[1], "never twice"
        runs += [now] * ran
    expected = sum(1 for _ in runs)
    assert expected <= (now - START) // DAY + 1


@given(some.lists(some.integers(-400 * DAY, 400 * DAY), min_size=1, max_size=20))
def test_a_clock_that_jumps_never_stops_it_for_ever(jumps: list[int]) -> None:
    run, now = WindowRun(), START
    for jump in jumps:
        now = max(1, now + jump)
        run, _ = at_work(run, now)
    ran = [at := at_work(run, now + days * DAY)[1] for days in (1, 2)]
    assert any(ran)
    del at


def test_a_clock_set_back_makes_nothing_due() -> None:
    run = finished(claimed(WindowRun(last=START), START), START, "done")
    assert not due(DAILY, counted(run, START - 3600), START - 3600)


def test_a_killed_run_is_due_at_once() -> None:
    killed = claimed(WindowRun(last=START), START)
    assert due(DAILY, killed, START + 1) and not due(DAILY, finished(killed, START + 2, "done"), START + 3)


def test_a_run_that_kills_the_controller_is_begun_ever_more_rarely_until_it_ends() -> None:
    run, now, pauses = WindowRun(last=START), DAILY.after(START), list[int]()
    for _ in range(10):
        run = claimed(run, now)
        now = next_time(DAILY, run, now + 1)
        pauses.append(now - run.started)
        assert due(DAILY, run, now) and not (pauses[-1] and due(DAILY, run, now - 1))
    assert pauses[:5] == [0, FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY, 8 * FIRST_RETRY]
    assert max(pauses) == MAX_RETRY == pauses[-1] and run.unended == 9
    assert due(DAILY, replace(run, asked=run.started + 1), run.started + 1), "people need not wait"
    back = counted(run, run.started - DAY)
    assert due(DAILY, back, run.started - DAY + MAX_RETRY), "nor does a clock that was set back stop it"
    assert finished(run, now, "done").unended == 0


def test_what_somebody_asked_for_is_due_once() -> None:
    asked = replace(WindowRun(last=START), asked=START)
    assert due(DAILY, asked, START) and not at_work(at_work(asked, START)[0], START + 1)[1]


def test_a_run_that_fails_is_tried_again_ever_more_slowly() -> None:
    run, now, pauses = WindowRun(last=START), DAILY.after(START), list[int]()
    for _ in range(8):
        run = finished(claimed(run, now), now + 5, "", "the mirrors do not answer")
        pauses.append(run.retry - (now + 5))
        now = next_time(DAILY, run, now)
        assert now == min(run.retry, DAILY.after(run.last))
    assert pauses[0] == FIRST_RETRY and pauses == sorted(pauses) and pauses[-1] <= MAX_RETRY
    assert finished(claimed(run, now), now, "done").retry == 0
