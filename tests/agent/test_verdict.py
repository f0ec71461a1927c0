"""A verdict does not depend on luck, and what failed for a cause outside is tried once more when somebody says why."""

import math
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toweros_agent.deadlines import GOOD, MADE, PATIENCE
from toweros_agent.health.checks import Result
from toweros_agent.health.probation import BAD, Outcome, Probation
from toweros_agent.host.memory import Memory
from toweros_agent.host.started import services_made
from toweros_agent.loop import Agent
from toweros_agent.nouns import Verdict
from toweros_agent.rules import MAX_INDETERMINATE

from gitops.model import HealthCheck
from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer

WINDOW = 12
YES = Result("web", True)
NO = Result("web", False, "status 503")
SILENT = Result("web", False, "timed out", answered=False)
HTTP = HealthCheck("hello", "http", "http://127.0.0.1:8080/", contains="ok")


def trial(*rounds: Result, reached: object = lambda number: True) -> tuple[Outcome | None, int]:
    """The first outcome over rounds of one second each, and after how many that was."""
    probation = Probation(WINDOW)
    for number, result in enumerate(rounds, 1):
        probation.add([result], reached=reached(number))  # type: ignore[operator]
        if outcome := probation.outcome(number):
            return outcome._replace(check=""), number
    return None, len(rounds)


def test_one_no_after_eleven_good_rounds_is_no_verdict() -> None:
    assert trial(*[YES] * 11, NO) == (None, 12)
    assert trial(*[YES] * 11, NO, *[YES] * 9) == (Outcome(), 12 + GOOD), "it goes on until it holds again"
    again = trial(*[YES] * 11, NO, NO, NO)
    assert again == (Outcome(Verdict.FAILED, "health check web: status 503 (it held in 11 of 14 rounds)"), 14)


def test_nine_bad_rounds_and_three_good_ones_are_not_healthy_yet() -> None:
    assert trial(*[NO] * 9, *[YES] * 3) == (None, 12)
    assert trial(*[NO] * 9, *[YES] * 9) == (Outcome(), 9 + GOOD)


def test_what_says_no_all_along_goes_when_the_window_is_over() -> None:
    assert trial(*[NO] * 12) == (Outcome(Verdict.FAILED, "health check web: status 503"), WINDOW)


def test_what_flaps_for_ever_goes_when_patience_is_over() -> None:
    flapping = [YES, YES, NO, SILENT, YES] * 20
    outcome, rounds = trial(*flapping)
    assert rounds == WINDOW * PATIENCE and outcome
    assert outcome.verdict == Verdict.FAILED and "status 503 (it held in " not in outcome.reason
    assert outcome.reason == "health check web: timed out (it held in 36 of 60 rounds)"


def test_what_is_slow_to_come_up_is_waited_for_until_patience_is_over() -> None:
    assert trial(*[SILENT] * 40, *[YES] * 9) == (Outcome(), 40 + GOOD)
    assert trial(*[SILENT] * 99) == (Outcome(Verdict.FAILED, "health check web: timed out"), WINDOW * PATIENCE)
    assert trial(*[YES] * 30, reached=lambda number: number >= 25) == (Outcome(), 25)


def test_a_server_that_was_reached_once_and_never_again_keeps_nothing() -> None:
    outcome, rounds = trial(*[YES] * 99, reached=lambda number: number < 4)
    assert rounds == WINDOW * PATIENCE and outcome and outcome.verdict == Verdict.INDETERMINATE
    assert trial(*[YES] * 20, reached=lambda number: number == WINDOW - GOOD + 1) == (Outcome(), WINDOW)


@given(st.lists(st.sampled_from([YES, NO, SILENT]), min_size=WINDOW * PATIENCE, max_size=WINDOW * PATIENCE))
def test_every_trial_ends_and_only_a_run_decides(rounds: list[Result]) -> None:
    outcome, number = trial(*rounds)
    assert outcome and WINDOW <= number <= WINDOW * PATIENCE
    if outcome.verdict is None:
        assert rounds[number - GOOD : number] == [YES] * GOOD
    elif number < WINDOW * PATIENCE:
        assert rounds[number - BAD : number] == [NO] * BAD


@pytest.mark.parametrize("window", [0, 1])
def test_the_shortest_window_has_rounds_enough(window: int) -> None:
    probation, ended = Probation(window), []
    for number in range(GOOD):
        probation.add([YES], reached=True)
        ended.append(probation.outcome(window * PATIENCE + number))
    assert ended == [None] * (GOOD - 1) + [Outcome()]


def test_the_least_rounds_are_enough_and_one_less_is_not() -> None:
    """At their very ends: three times no, six rounds when patience is over, six rounds without the server."""
    said, flapping, unheard = Probation(0), Probation(1), Probation(0)
    verdicts = []
    for _ in range(BAD):
        said.add([NO], reached=True)
        verdicts.append(said.outcome(0))
    assert [outcome and outcome.verdict for outcome in verdicts] == [None] * (BAD - 1) + [Verdict.FAILED]
    for number in range(GOOD):
        assert flapping.outcome(PATIENCE) is None
        flapping.add([YES if number % 2 else NO], reached=True)
    ended = flapping.outcome(PATIENCE)
    assert ended and ended.verdict == Verdict.FAILED
    for number in range(GOOD + 1):
        unheard.add([], reached=number == 0)
    assert unheard.outcome(-1) is None and unheard.unreached == GOOD
    unheard.window = 1000
    assert unheard.outcome(1000) is None, "the server was not reached within the last rounds"


def test_init_that_never_says_that_all_are_made_ends_no_trial_late(tmp_path: Path) -> None:
    now = time.monotonic()
    assert services_made(tmp_path, now) == math.inf
    assert services_made(tmp_path, now - MADE - 1) == now - 1, "a trial goes on without the word, and so has an end"
    (tmp_path / "services.made").write_text(f"{now - 50}")
    assert services_made(tmp_path, now - 60) == now - 50
    assert services_made(tmp_path, now - 40) == now - 40, "an agent that is made last does not begin in the past"
    (tmp_path / "services.made").write_text("inf")
    assert services_made(tmp_path, now) == now + MADE, "whatever it says, it begins"


# --- once more, with a reason ---


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7, probation=0))
    return made


def offer(server: UpdateServer, *why: str) -> None:
    new = make(8, service=b"two", probation=0, checks=(HTTP,))
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon, custom={"retry": [*why]} if why else {})


def fails(box: Box) -> Agent:
    """Take what is offered, let it fail, and be back."""
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.REBOOTING)
    tried = box.power_on()
    assert tried and tried.boot.sequence == 8
    drive(tried, State.REBOOTING)
    back = box.power_on()
    assert back and back.boot.sequence == 7
    drive(back, State.IDLE)
    drive(back, State.IDLE)
    return back


def hangs(box: Box) -> Agent:
    """Take what is offered, hang in each of its tries, and be back."""
    agent = box.power_on()
    assert agent and agent.boot.sequence == 7
    drive(agent, State.REBOOTING)
    box.hang = True
    back = box.power_on()
    box.hang = False
    assert back and back.boot.sequence == 7
    drive(back, State.IDLE)
    drive(back, State.IDLE)
    return back


def test_each_reason_is_one_more_try_and_no_more(box: Box, server: UpdateServer) -> None:
    box.services.status = 503
    offer(server)
    assert "is held: health check hello" in fails(box).error
    offer(server, "ada: the mast was down")
    back = fails(box)
    assert "is held: health check hello" in back.error, "once"
    assert box.report(server)["retried"] == ["ada: the mast was down"]
    offer(server)
    drive(back, State.IDLE)
    assert "is held" in back.error, "a reason that is taken back starts nothing"
    offer(server, "ada: the mast was down", "bob: new antenna")
    box.services.status = 200
    drive(back, State.REBOOTING)
    kept = box.power_on()
    assert kept and kept.boot.sequence == 8
    drive(kept, State.IDLE)
    assert box.bootable() == [7, 8]


def test_an_older_agent_reads_what_this_one_remembers(box: Box, server: UpdateServer) -> None:
    """It shares the disk, and knows no more members of a failure than these: the release to fall back to has it."""
    box.services.status = 503
    offer(server, "ada: x")
    back = fails(box)
    document = back.history.memory.encode()
    assert Memory.parse(document).retried and Memory.parse(document).failures
    (failure,) = back.history.memory.failures
    assert vars(failure).keys() == {"sequence", "release", "content", "uki", "verdict", "reason", "time", "log"}
    assert b'"retry"' not in document


def test_a_power_cut_before_the_try_takes_the_reason_not_away(box: Box, server: UpdateServer) -> None:
    box.services.status = 503
    offer(server)
    fails(box)
    offer(server, "ada: x")
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    (box.linux / "toweros-8+3.efi").unlink()  # as before its rename
    again = box.power_on()
    assert again and again.boot.sequence == 7
    drive(again, State.REBOOTING)
    assert box.bootable() == [7, 8]


def test_a_try_without_a_verdict_does_not_bring_back_what_was_forgiven(box: Box, server: UpdateServer) -> None:
    box.services.status = 503
    offer(server)
    fails(box)
    offer(server, "ada: the mast was down")
    back, waits = hangs(box), "release 8 waits for 60 s: its tries are used up"
    assert waits in back.error, "its one failure of before is forgiven, and it is tried later"
    assert [each["verdict"] for each in box.report(server)["failures"]] == [Verdict.INDETERMINATE]  # type: ignore[attr-defined]
    back.history.memory.failures *= MAX_INDETERMINATE
    drive(back, State.IDLE)
    assert "is held after 4 tries" in back.error
    back.history.save()
    offer(server, "ada: the mast was down", "bob: new antenna")
    assert waits in hangs(box).error, "so are the tries that nothing came of"


def test_services_that_are_made_late_have_the_whole_window(box: Box, server: UpdateServer) -> None:
    """On a slow processor the agent runs a minute before the last service is made: the window was over by then."""
    offer(server)
    drive(box.power_on() or pytest.fail("lost"), State.REBOOTING)
    agent = box.power_on()
    assert agent and agent.trial
    made = box.run / "services.made"
    made.unlink()
    box.services.status = 503
    for _ in range(2 * GOOD):
        agent.step()
    assert agent.state == State.PROBATION, "no verdict about what is not made yet"
    box.services.status = 200
    made.write_text("")
    for _ in range(2 * GOOD):
        agent.step()
    assert agent.state == State.PROBATION, "half written, and neither does it keep a release"
    made.write_text(f"{time.monotonic()}")
    drive(agent, State.IDLE)
    assert not agent.trial
