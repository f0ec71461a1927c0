"""What does not answer, or is refused memory or processes: named, started again, and in the end so is the box."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.health import counters, system
from toweros_agent.health.counters import Counters
from toweros_agent.health.keeper import CROWDED, MISSES, SILENT, STEADY, TOLD, TRIES, Keeper
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
    looks(keeper, clock, max(SILENT[name], (MISSES - 1) * 30))
    assert wards.ended == [] and keeper.problems == []
    looks(keeper, clock, 30)
    assert wards.ended == [name]
    assert keeper.problems == [f"{name} does not answer: started again, 1 of 3 times"]
    looks(keeper, clock, SILENT[name] * (2 + 4 + 8) + 240)
    assert wards.ended == [name] * TRIES
    assert keeper.hopeless == f"{name} does not answer, and 3 new starts did not help"
    wards.answering[name] = True
    keeper.look()
    assert keeper.hopeless == "", "it does now"


def test_rare_looks_end_nothing_early_and_a_slow_engine_comes_up_in_the_end(clock: Clock) -> None:
    wards = Services(answering={"docker": False})
    keeper = Keeper(wards)
    looks(keeper, clock, 4 * 1200, every=1200)
    assert wards.ended == [], "four looks of a box whose server is away"
    wards, keeper = Services(answering={"docker": False}), Keeper(Services())
    keeper.wards = wards
    started = clock.now
    while clock.now - started < 400 and len(wards.ended) < TRIES:  # it needs 400 s from each start
        ends = len(wards.ended)
        keeper.look()
        started = clock.now if len(wards.ended) > ends else started
        clock.now += 30
    assert wards.ended == ["docker"], "the second start had the time"


def test_what_answers_again_for_long_has_all_its_tries_again(clock: Clock) -> None:
    wards = Services(answering={"containerd": False})
    keeper = Keeper(wards)
    for _ in range(2 * TRIES):
        wards.answering["containerd"] = False
        looks(keeper, clock, SILENT["containerd"] + 90)
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


def test_what_a_level_below_was_refused_is_told_of_that_level_alone(tmp_path: Path) -> None:
    """Since Linux 6.11 `pids.events` counts what is below, as `memory.events` always did."""
    bomb = {"pids_events": "max 9", "memory_events": "oom_kill 4"}
    above = bomb | {"pids_events_local": "max 0"}
    group(tmp_path / "services", pids_current="70", **above | {"pids_events_local": "max 2"})
    group(tmp_path / "services/docker", pids_current="60", **above | {"memory_events": "oom_kill 6"})
    group(tmp_path / counters.APPS, **above | {"memory_events": "oom_kill 5"})
    group(tmp_path / counters.APPS / "ab", pids_events_local="max 9", **bomb)
    group(tmp_path / "services/group/web/run", pids_current="8")
    (tmp_path / "services/group/web/pids.current").write_text("8")
    found = counters.services(tmp_path)
    told = {name: (each.refused, each.killed) for name, each in found.items()}
    assert told == {"docker": (0, 1), "user containers": (0, 1), "web": (0, 0), "all services": (2, 0)}
    below = counters.user_containers(tmp_path)["ab"]
    assert (below.refused, below.killed) == (9, 4)
    assert counters.fattest(tmp_path) == "docker"


def test_what_cannot_be_counted_counts_nothing_and_what_the_engine_has_no_share_in_is_not_its_own(
    tmp_path: Path,
) -> None:
    group(tmp_path / "services/docker", memory_events="oom_kill 4", pids_events="odd\n")
    group(tmp_path / counters.APPS, memory_events="oom_kill 5")
    group(tmp_path / counters.APPS / "ab", memory_events="oom_kill 6")
    group(tmp_path / "services/web", memory_events="oom 1\n", pids_current="7")
    found = counters.services(tmp_path)
    assert (found["docker"], found["user containers"], found["web"]) == (Counters(), Counters(), Counters(pids=7))
    assert counters.fattest(tmp_path) == "web", "of docker's nobody knows"


@pytest.mark.parametrize(
    ("pids", "limit", "crowded"),
    [(9, 10, True), (8, 10, False), (10, 10, True), (10**6, None, False), (0, None, False)],
)
def test_a_service_is_crowded_near_its_limit_and_never_without_one(pids: int, limit: int | None, crowded: bool) -> None:
    assert Counters(pids=pids, limit=limit).crowded is crowded


def test_a_user_container_is_started_again_by_the_engine_which_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "DOCKER", str(tmp_path / "docker.sock"))
    group(tmp_path / counters.APPS / "ab", pids_events="max 9", pids_current="9")
    group(tmp_path / counters.APPS / "cd", pids_current="5")
    for name in ("services", "user_containers", "fattest"):
        monkeypatch.setattr(getattr(counters, name), "__defaults__", (tmp_path,))
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(system.DOCKER)
        server.listen()

        def answer() -> None:
            for body in ('200 OK\r\nContent-Length: 15\r\n\r\n{"Name":"/app"}', *["204 No Content\r\n\r\n"] * 3):
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(4096).split(b" HTTP")[0])
                    connection.sendall(f"HTTP/1.1 {body}".encode())

        threading.Thread(target=answer, daemon=True).start()
        surroundings = System()
        assert surroundings.counters()["user container app"].refused == 9
        assert surroundings.end("user container app")
        assert surroundings.end("user containers") and surroundings.end("all services")
    assert asked == [b"GET /v1.41/containers/ab/json", *[b"POST /v1.41/containers/ab/restart?t=0"] * 3]


def test_a_box_without_these_cgroups_counts_nothing(tmp_path: Path) -> None:
    assert counters.services(tmp_path) == {} and counters.user_containers(tmp_path) == {}


@pytest.fixture
def mute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Docker that takes questions and never answers."""
    monkeypatch.setattr(system, "DOCKER", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(system, "ENGINE_HERE", str(tmp_path / "engine"))
    monkeypatch.setattr(system, "ANSWER", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        yield


def program(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A process of that name."""
    shutil.copy("/bin/sleep", folder / name)
    process = subprocess.Popen([folder / name, "60"])
    end = time.monotonic() + 30
    # The kernel lets the parent go on before the child has its new name.
    while Path(f"/proc/{process.pid}/comm").read_text().strip() != name:
        assert time.monotonic() < end
    return process


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
    assert asked.answers() == {"containerd": True}, "another's docker, which has no socket here"
    Path(system.ENGINE_HERE).touch()
    began = time.monotonic()
    assert asked.answers() == {"containerd": True, "docker": False}
    assert time.monotonic() - began < 2
    monkeypatch.setattr(system, "SERVICES", 0.2)
    ctr("exec sleep 9")
    assert asked.tasks() == {} and asked.answers() == {"containerd": False}


def test_a_service_in_a_namespace_of_its_own_is_seen_and_hides_no_other(
    tmp_path: Path, ctr: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `runtime: {namespace: apart}` of a spec makes it; whatever else there is decides nothing about containerd."""
    monkeypatch.setattr(system, "TASKS", str(tmp_path / "tasks"))
    for name in (system.NAMESPACE, "apart", "odd name"):
        (tmp_path / "tasks" / name).mkdir(parents=True)
    rows = f"{system.NAMESPACE}) echo 'web 7 RUNNING';; apart) echo 'web 9 STOPPED'; echo 'ntp 8 RUNNING';; *) exit 1"
    ctr(f"echo 'TASK PID STATUS'; case $2 in {rows};; esac")
    asked = System()
    assert asked.tasks() == {"web": (7, "RUNNING"), "ntp": (8, "RUNNING")} and asked.answers()["containerd"]


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
def test_an_engine_that_answers_anything_answers(
    tmp_path: Path, ctr: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """A newer one takes no questions of our version of its API."""
    for name, value in (("DOCKER", "docker.sock"), ("ENGINE_HERE", "ctr")):
        monkeypatch.setattr(system, name, str(tmp_path / value))
    ctr("echo 'TASK PID STATUS'; echo 'docker 7 RUNNING'")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(system.DOCKER)
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

        threading.Thread(target=answer, daemon=True).start()
        asked = System()
        asked.tasks()
        assert asked.answers()["docker"]


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


def test_a_despair_that_cannot_be_written_down_ends_nothing_and_the_server_is_asked_on(
    box: Box, server: UpdateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    (box.disk / "state/memory.json").unlink(missing_ok=True)
    (box.disk / "state/memory.json").mkdir()  # nothing can be put in its place
    agent.condition.keeper.hopeless = "containerd does not answer"
    monkeypatch.setattr(deadlines, "GIVE_UP", 0.0)
    before = len(server.requests)
    agent.step()
    assert agent.state == State.IDLE and agent.history.memory.resets == []
    assert len(server.requests) > before
    assert "not started again" in (box.disk / "state/boot-7.log").read_text()
    (box.disk / "state/memory.json").rmdir()
    agent.step()
    assert agent.state == State.REBOOTING


def test_a_service_that_ran_out_of_memory_is_named_in_the_report(box: Box, server: UpdateServer) -> None:
    box.services.counted = FULL
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    report = box.report(server)
    assert "service web: oom killed, 2 times (memory limit 64 MiB)" in report["degraded"]
    assert report["health"] == "Degraded"
