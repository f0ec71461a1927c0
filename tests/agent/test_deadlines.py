"""The agent's time-outs fit together: the worst case, summed from the constants."""

from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.machine import State
from toweros_agent.nouns import Check

PACKAGE = Path(__file__).resolve().parents[2] / "pkg"
MANY = tuple(Check(f"{number}", "http", "http://127.0.0.1/", timeout=600) for number in range(40))


def test_no_wait_for_anybody_comes_near_the_watchdog() -> None:
    waits = (deadlines.CONNECT, deadlines.SILENCE, deadlines.TRIAL_SILENCE, deadlines.SLICE)
    asked = (deadlines.SERVICES, deadlines.CHECK)
    hungry = deadlines.FED_EVERY + max(*waits, *asked)
    assert hungry + deadlines.SLICE < deadlines.BARK, "a healthy agent is not taken for one that hangs"
    assert deadlines.BARK + 10 < deadlines.BITE, "the disk has time to take what is written down"


@pytest.mark.parametrize("checks", [(), MANY])
@pytest.mark.parametrize("state", State)
def test_every_step_has_an_end_that_holds_what_is_in_it(state: State, checks: tuple[Check, ...]) -> None:
    round_ = 2 * deadlines.SERVICES + len(checks) * deadlines.CHECK
    parts = {
        State.PROBATION: round_ + deadlines.TRIAL_LOOK,
        State.IDLE: round_ + deadlines.LOOK,
        State.FETCHING: deadlines.FETCH,
        State.STAGING: deadlines.LOOK + deadlines.FETCH,
    }
    assert parts.get(state, 0) < deadlines.step(state, checks) < 7 * 3600


@pytest.mark.parametrize("checks", [(), MANY])
@pytest.mark.parametrize("probation", [0, 120, 3600])
def test_a_trials_last_round_is_over_before_the_watchdog_is_left_to_bite(
    probation: int, checks: tuple[Check, ...]
) -> None:
    slowest = deadlines.health_round(checks) + deadlines.TRIAL_LOOK + deadlines.REPORT + deadlines.PAUSE
    last_round_begins = max(probation * deadlines.PATIENCE, deadlines.GOOD * slowest)
    worst = deadlines.health_round(checks) + deadlines.TRIAL_LOOK + deadlines.REPORT
    assert last_round_begins + worst + deadlines.SLACK <= deadlines.trial(probation, checks)


def test_a_resolver_is_waited_for_longer_than_two_dead_ones_take_and_not_longer_than_a_trial_has() -> None:
    libc = 5.0  # resolv.conf(5): RES_TIMEOUT, for each name server in turn
    assert 2 * libc < deadlines.RESOLVE < deadlines.TRIAL_LOOK < deadlines.LOOK
    assert 3 * deadlines.CONNECT + deadlines.RESOLVE + deadlines.SILENCE < deadlines.REPORT + deadlines.SILENCE


def test_the_initrds_watchdog_leaves_the_agent_time_to_start() -> None:
    (line,) = (each for each in (PACKAGE / "initrd" / "init").read_text().splitlines() if each.startswith("WATCHDOG="))
    assert int(line.split()[0].partition("=")[2]) >= 2 * deadlines.BITE
