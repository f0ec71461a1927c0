"""What a box says of itself is true: what the failing service said, what is over, what is wrong with the clock."""

import os
import time
from pathlib import Path

import pytest
from toweros_agent import history
from toweros_agent.host.logs import MAX_BYTES, said_last
from toweros_agent.loop import Agent
from toweros_agent.report import clock_problem

from gitops.model import HealthCheck
from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer

YEAR = 365 * 86400


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7, probation=0))
    offer(server, 7, b"one")
    return made


def offer(server: UpdateServer, sequence: int, service: bytes, *checks: HealthCheck) -> None:
    new = make(sequence, service=service, probation=0, checks=checks)
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)


def logs(box: Box, **said: str) -> None:
    (box.run / "logs").mkdir(exist_ok=True)
    for age, (name, text) in enumerate(said.items()):
        path = box.run / "logs" / f"{name}.log"
        path.write_text(text)
        stamp = time.time_ns() - age * 10**9
        os.utime(path, ns=(stamp, stamp))


def trial(box: Box) -> Agent:
    agent = box.power_on()
    assert agent
    drive(agent, State.REBOOTING)
    tried = box.power_on()
    assert tried and tried.trial
    return tried


def test_the_failing_services_own_last_lines_are_in_the_report(box: Box, server: UpdateServer) -> None:
    offer(server, 8, b"bad", HealthCheck("page", "service", "web"))
    agent = trial(box)
    box.services.running = {"web": (0, "STOPPED")}
    logs(box, ntpd="all is well", web="".join(f"line {number}\n" for number in range(99)) + "cannot bind port 80\n")
    drive(agent, State.REBOOTING)
    (failure,) = agent.history.memory.failures
    assert failure.log.endswith("web: line 98\nweb: cannot bind port 80") and "all is well" not in failure.log
    assert len(failure.log.splitlines()) < 45


def test_of_a_page_that_no_service_is_named_after_the_newest_logs_are_shown(box: Box, server: UpdateServer) -> None:
    logs(box, d="newest", c="x" * 9999, b="third", a="oldest")
    said = said_last(box.run / "logs", ["no such", "../../../etc/passwd"])
    assert [line[:3] for line in said.splitlines()] == ["d: ", "c: ", "b: "]
    assert len(said) < MAX_BYTES + 100
    assert said_last(box.run / "logs", ["a"]) == "a: oldest"
    assert said_last(box.run / "nothing", ["a"]) == ""


def test_an_onboot_containers_last_words_are_in_the_report(box: Box, server: UpdateServer) -> None:
    offer(server, 8, b"bad")
    agent = trial(box)
    for folder, text in (("onboot", "1\n"), ("log", "no disk\n")):
        (box.run / folder).mkdir()
        name = "003-mount" if folder == "onboot" else "onboot-003-mount"
        (box.run / folder / name).write_text(text)
    drive(agent, State.REBOOTING)
    (failure,) = agent.history.memory.failures
    assert failure.reason == "onboot 003-mount: exit code 1" and failure.log.endswith("003-mount: no disk")


def test_what_is_over_is_not_told_for_ever(box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (box.disk / "state" / "memory.json").write_bytes(b"\0" * 100)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert "put aside" in str(box.report(server)["degraded"])
    monkeypatch.setattr(history, "TOLD", 0.0)
    agent.step()
    assert (box.report(server)["degraded"], box.report(server)["health"]) == ([], "Healthy")


def test_a_clock_that_was_behind_and_is_right_now_is_over(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = box.power_on()
    assert agent
    agent.history.memory.time = int(time.time()) + YEAR

    def refuses(*_: object) -> None:
        raise OSError("not permitted")

    monkeypatch.setattr("toweros_agent.upkeep.disk.time.clock_settime", refuses)
    agent.upkeep.set_clock()
    assert "the clock is behind" in str(agent.upkeep.problems)
    agent.history.memory.time = int(time.time()) - 1
    assert agent.upkeep.problems == []


def test_a_clock_that_is_ahead_is_told_as_a_clock(box: Box, server: UpdateServer) -> None:
    """By ten days: what holds for one more day, where the server is, is long over by the box's clock."""
    made = make(8, service=b"two")
    server.date = lambda: time.time() - 10 * 86400
    server.publish(made.document, made.uki, made.addon, days=-9)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert agent.error.startswith("metadata: the clock is ahead: it says 20")
    assert "so what is signed looks expired" in str(box.report(server)["error"])


def test_metadata_that_is_expired_is_not_blamed_on_a_clock_that_is_right(box: Box, server: UpdateServer) -> None:
    made = make(8, service=b"two")
    server.publish(made.document, made.uki, made.addon, days=-1)
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    assert agent.error.startswith("metadata: ExpiredMetadataError")


def test_a_signed_time_says_how_wrong_the_clock_is(box: Box, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    server.date = lambda: time.time() - 3 * 86400 - 60
    agent.error = "something new"
    agent.send_report()
    assert agent.reporter.clock == "the clock is ahead of the server's by 3 days"
    agent.send_report()
    assert agent.reporter.clock in box.report(server)["degraded"]  # type: ignore[operator]
    assert [clock_problem(each) for each in (200, -7300)] == ["", "the clock is behind the server's by 2 hours"]
