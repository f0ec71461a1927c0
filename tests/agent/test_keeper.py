"""What does not answer, or is refused memory or processes: named, started again, and in the end so is the box."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.health import counters, system
from toweros_agent.health.counters import Counters
from toweros_agent.health.keeper import CROWDED, SILENT, STEADY, TOLD, TRIES, Keeper
from toweros_agent.health.system import System

from tests.simulators.box import Box, State, drive, make
from tests.simulators.services import Services
from tests.simulators.update_server import UpdateServer

BOMB = Counters(refused=9, pids=1024, limit=1024)
FULL = {"web": Counters(killed=2, memory=64 << 20)}


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def looks(keeper: Keeper, clock: Clock, seconds: float, every: float = 30.0) -> None:
    end = clock.now + seconds
    while clock.now < end:
        keeper.look()
        clock.now += every


@pytest.mark.parametrize("name", SILENT)
def test_what_does_not_answer_is_started_again_and_then_the_box(clock: Clock, name: str) -> None:
    wards = Services(answering={name: False})
    keeper = Keeper(wards)
    looks(keeper, clock, SILENT[name] - 30)
    assert wards.ended == [] and keeper.problems == []
    looks(keeper, clock, 60)
    assert wards.ended == [name]
    assert keeper.problems == [f"{name} does not answer: started again, 1 of 3 times"]
    looks(keeper, clock, SILENT[name] * TRIES + 120)
    assert wards.ended == [name] * TRIES
    assert keeper.hopeless == f"{name} does not answer, and 3 new starts did not help"
    wards.answering[name] = True
    keeper.look()
    assert keeper.hopeless == "", "it does now"


def test_what_answers_again_for_long_has_all_its_tries_again(clock: Clock) -> None:
    wards = Services(answering={"containerd": False})
    keeper = Keeper(wards)
    for _ in range(2 * TRIES):
        wards.answering["containerd"] = False
        looks(keeper, clock, SILENT["containerd"] + 60)
        wards.answering["containerd"] = True
        looks(keeper, clock, STEADY + 60)
    assert len(wards.ended) == 2 * TRIES and keeper.hopeless == ""


def test_a_box_that_started_again_in_vain_waits_longer_each_time() -> None:
    assert [deadlines.give_up(before) / 60 for before in (0, 1, 2, 6, 99)] == [10, 20, 40, 640, 640]


def test_what_ran_out_of_memory_is_named_for_some_time(clock: Clock) -> None:
    keeper = Keeper(Services(counted=FULL))
    keeper.look()
    assert keeper.problems == ["service web: oom killed, 2 times (memory limit 64 MiB)"]
    looks(keeper, clock, TOLD)
    assert keeper.problems == []


def test_a_fork_bomb_is_named_and_ended_as_a_whole(clock: Clock) -> None:
    wards = Services(counted={"web": BOMB})
    keeper = Keeper(wards)
    keeper.look()
    assert keeper.problems == ["service web: pids limit reached (1024)"] and wards.ended == []
    for refused in range(10, 10 + int(CROWDED // 30) + 1):
        clock.now += 30
        wards.counted["web"] = Counters(refused=refused, pids=1000, limit=1024)
        keeper.look()
    assert wards.ended == ["web"]
    assert keeper.problems[1:] == ["service web: started again, as it could start nothing any more"]


def test_a_service_that_was_refused_once_is_left_alone(clock: Clock) -> None:
    wards = Services(counted={"web": BOMB})
    looks(Keeper(wards), clock, 5 * CROWDED)
    assert wards.ended == []


# --- where it comes from ---


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


def test_counters_are_read_of_services_the_core_and_user_containers(tmp_path: Path) -> None:
    events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n"
    group(tmp_path / "services/web", pids_max="64\n", pids_current="60\n", pids_events="max 5\n",
          memory_max="1048576\n", memory_events=events)  # fmt: skip
    group(tmp_path / "core/agent", pids_max="max\n", memory_max="max\n", memory_events="oom_kill 0\n")
    group(tmp_path / counters.APPS / ("ab" * 32), pids_max="7", pids_current="1", pids_events="max 1")
    found = counters.services(tmp_path)
    assert found["web"] == Counters(3, 5, 60, 64, 1 << 20) and found["web"].crowded
    assert found["agent"] == Counters() and found["user containers"] == Counters() and "docker" in found
    assert counters.user_containers(tmp_path) == {"ab" * 32: Counters(refused=1, pids=1, limit=7)}


def test_a_box_without_these_cgroups_counts_nothing(tmp_path: Path) -> None:
    assert counters.services(tmp_path) == {} and counters.user_containers(tmp_path) == {}


@pytest.fixture
def mute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Docker that takes questions and never answers."""
    monkeypatch.setattr(system, "DOCKER", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(system, "ANSWER", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        yield


def program(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process of that name."""
    shutil.copy("/bin/sleep", folder / name)
    return subprocess.Popen([folder / name, "60"])


@pytest.fixture
def ctr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What containerd's client is, for the agent: a script."""

    def put(script: str) -> None:
        (tmp_path / "ctr").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ctr").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return put


def test_docker_that_is_mute_and_containerd_that_is_gone_do_not_answer(
    mute: None, ctr: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = System()
    ctr("echo 'TASK PID STATUS'; echo 'web 7 RUNNING'")
    asked.tasks()
    assert asked.answers() == {"containerd": True}, "there is no service docker"
    ctr("echo 'TASK PID STATUS'; echo 'docker 7 RUNNING'")
    asked.tasks()
    began = time.monotonic()
    assert asked.answers() == {"containerd": True, "docker": False}
    assert time.monotonic() - began < 2
    monkeypatch.setattr(system, "SERVICES", 0.2)
    ctr("exec sleep 9")
    assert asked.tasks() == {} and asked.answers() == {"containerd": False}


def test_containerd_is_ended_by_its_number_and_nobody_else_who_has_it_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "CONTAINERD_PID", str(tmp_path / "pid"))
    assert not System().end("containerd")
    with program(tmp_path, "other") as other, program(tmp_path, "containerd") as containerd:
        (tmp_path / "pid").write_text(f"{other.pid}\n")
        assert not System().end("containerd")
        (tmp_path / "pid").write_text(f"{containerd.pid}\n")
        assert System().end("containerd") and containerd.wait(9) == -9
        assert other.poll() is None
        other.kill()


def test_a_service_is_ended_by_its_first_process(tmp_path: Path, ctr: Callable[[str], None]) -> None:
    with program(tmp_path, "web") as web:
        ctr(f"echo 'TASK PID STATUS'; echo 'web {web.pid} RUNNING'; echo 'init 1 RUNNING'")
        asked = System()
        asked.tasks()
        assert asked.end("web") and web.wait(9) == -9
        assert not asked.end("init") and not asked.end("nobody")


def test_a_round_with_all_of_it_fits_into_the_watchdogs_patience() -> None:
    assert deadlines.ANSWER < deadlines.SERVICES
    assert deadlines.health_round(()) == 2 * deadlines.SERVICES + 2 * deadlines.ANSWER


# --- the box ---


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        made = make(7)
        running.publish(made.document, made.uki, made.addon)
        yield running


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    return made


def test_a_box_that_nothing_helps_starts_again_and_says_why(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    keeper = agent.condition.keeper
    keeper.hopeless = "containerd does not answer, and 3 new starts did not help"
    monkeypatch.setattr(deadlines, "GIVE_UP", 1e9)
    agent.step()
    assert agent.state == State.IDLE, "not yet"
    monkeypatch.setattr(deadlines, "GIVE_UP", 0.0)
    agent.step()
    assert agent.state == State.REBOOTING
    agent.step()
    assert box.rebooted == 1
    again = box.power_on()
    assert again
    drive(again, State.IDLE)
    again.step()
    report = box.report(server)
    (reset,) = report["resets"]  # type: ignore[misc]
    assert reset["sequence"] == 7 and reset["doing"] == f"the agent started the box again: {keeper.hopeless}"


def test_a_service_that_ran_out_of_memory_is_named_in_the_report(box: Box, server: UpdateServer) -> None:
    box.services.counted = FULL
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    report = box.report(server)
    assert "service web: oom killed, 2 times (memory limit 64 MiB)" in report["degraded"]
    assert report["health"] == "Degraded"
