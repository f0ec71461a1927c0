"""Servers, mirrors and resolvers that are silent, slow, dropping or lying: no box is reset, and each step ends.

The time-outs are a fiftieth of the real ones (test_deadlines.py sums those); sockets, names and files are real.
"""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toweros_agent import deadlines
from toweros_agent.health.checks import Checker
from toweros_agent.health.system import System
from toweros_agent.loop import Agent
from toweros_agent.nouns import Check
from toweros_agent.offer.net import Http, NetError

from tests.simulators import rude
from tests.simulators.box import Box, State, drive, make
from tests.simulators.rude import Manner, Rude
from tests.simulators.update_server import UpdateServer

SILENCE, LOOK, REPORT = 0.3, 1.0, 0.6
FAULTS: list[Manner] = [
    rude.silent,
    rude.trickled_headers,
    rude.trickled_body,
    rude.dropped_in_the_body,
    rude.promising_too_much,
    rude.promising_too_little,
    rude.promising_nonsense,
    rude.always_going_on,
    rude.saying_nothing_that_is_http,
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOOK": LOOK, "REPORT": REPORT, "CONNECT": SILENCE, "RESOLVE": 0.5, "SLICE": 0.1}.items():
        monkeypatch.setattr(deadlines, name, value)


@pytest.fixture
def box(tmp_path: Path, server: UpdateServer) -> Box:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box", server.url, server.root)
    made.install(make(7))
    offer(server, 7)
    return made


def offer(server: UpdateServer, sequence: int, service: bytes = b"one") -> None:
    made = make(sequence, service=service)
    for root, data in made.blobs.items():
        server.add_layer(data, root)
    server.publish(made.document, made.uki, made.addon)


class Ticks:
    """When the watchdog could have been fed."""

    def __init__(self) -> None:
        self.last, self.gap, self.began = time.monotonic(), 0.0, time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        self.last, self.gap = now, max(self.gap, now - self.last)

    def took(self) -> float:
        self()
        return time.monotonic() - self.began


def asking(agent: Agent, url: str) -> Ticks:
    """The agent asks that server from now on."""
    agent.trust.url, agent.reporter.url, agent.http.silence = f"{url}/metadata", f"{url}/report", SILENCE
    agent.http.tick = ticks = Ticks()
    return ticks


def test_no_behaviour_of_a_server_starves_the_watchdog_or_holds_a_step(box: Box, server: UpdateServer) -> None:
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    for manner in FAULTS:
        with Rude(manner) as bad:
            ticks = asking(agent, bad.url)
            agent.reporter._sent = None
            agent.step()
            assert bad.asked >= 2, "the offer, and the report"
            assert ticks.took() < LOOK + REPORT + 0.5, manner.__name__
            assert ticks.gap < SILENCE + 0.3, manner.__name__
            assert agent.state == State.IDLE and agent.error, manner.__name__
    assert not box.rebooted
    asking(agent, server.url).last = 0
    agent.reporter.url = f"{server.url}/api/v1/boxes/demo-1/report"
    agent.step()
    assert (agent.error, box.report(server)["health"]) == ("", "Healthy"), "and all is well when the server is"


def test_what_lies_about_its_length_is_named_as_that() -> None:
    http = Http(lambda: None, lambda _: None, SILENCE)
    with Rude(rude.dropped_in_the_body) as server, pytest.raises(NetError, match="ends after 500 of 1000 bytes"):
        http.get(f"{server.url}/x", 2000)
    with Rude(rude.promising_too_much) as server, pytest.raises(NetError, match="more than the 100 bytes"):
        http.get(f"{server.url}/x", 100)


def test_a_download_of_a_byte_a_second_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "RATE_WINDOW", 0.4)
    http = Http(lambda: None, lambda _: None, SILENCE)
    with Rude(rude.trickled_body) as server, pytest.raises(NetError, match="less than 64 bytes a second"):
        http.download(f"{server.url}/x", tmp_path / "part", 1000)
    assert server.asked == 1, "another way may do better than the same one again"


def test_dead_mirrors_cost_one_wait_for_a_release_and_not_one_for_each_layer(box: Box, server: UpdateServer) -> None:
    new = make(8, service=b"two", images=(b"i" * 999, b"j" * 999, b"k" * 999))
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    with Rude(rude.silent) as mute, Rude(rude.trickled_headers) as slow, socket.create_server(("127.0.0.1", 0)) as gone:
        gone_url = f"http://127.0.0.1:{gone.getsockname()[1]}"
        gone.close()
        agent = box.power_on()
        assert agent
        agent.update.fetcher.bases = (mute.url, gone_url, server.url)
        agent.http.silence = SILENCE
        drive(agent, State.REBOOTING)
        assert mute.asked == 1 and box.bootable() == [7, 8]
        assert slow.asked == 0


def test_a_health_check_whose_answer_trickles_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with Rude(rude.trickled_body) as service, Rude(rude.trickled_headers) as other:
        checks = (Check("a", "http", f"{service.url}/", timeout=1), Check("b", "http", f"{other.url}/", timeout=1))
        ticks, system = Ticks(), System()
        system.tasks = dict  # type: ignore[method-assign]
        results = Checker(checks, system, ticks).round()
    assert [(result.ok, result.answered) for result in results] == [(False, False)] * 2
    assert ticks.took() < 2.6 and ticks.gap < 1.3


NAMES = """
import json, socket, sys, time
from toweros_agent import deadlines
from toweros_agent.offer.net import Http, NetError
deadlines.RESOLVE, deadlines.SLICE, deadlines.CONNECT = 1.0, 0.2, 0.3
gap, last = 0.0, time.monotonic()
def tick():
    global gap, last
    now = time.monotonic()
    gap, last = max(gap, now - last), now
http, said = Http(tick, lambda _: None, 0.5), []
def ask(url):
    began = tick() or time.monotonic()
    try:
        answer = http.get(url, 100)[2].decode()
    except NetError as error:
        answer = str(error)
    tick()
    said.append([answer, time.monotonic() - began, gap])
"""


def in_a_world_of_its_own(tmp_path: Path, hosts: str, program: str) -> list[tuple[str, float, float]]:
    """Run `program` where only 127.0.0.1 is there, and resolv.conf and hosts say what they are to say."""
    (tmp_path / "hosts").write_text(hosts)
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (tmp_path / "program.py").write_text(NAMES + program + "\nprint(json.dumps(said))\n")
    binds = "".join(f"mount --bind {tmp_path}/{name} /etc/{name}; " for name in ("hosts", "resolv.conf"))
    script = f"set -e; ip link set lo up; {binds}exec {sys.executable} {tmp_path}/program.py"
    command = ["unshare", "--mount", "--net", "sh", "-c", script]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": "pkg/agent", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return [(answer, took, gap) for answer, took, gap in json.loads(done.stdout)]


def test_a_resolver_that_never_answers_holds_nobody(tmp_path: Path) -> None:
    program = """
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("127.0.0.1", 53))
ask("http://updates.example:8080/x")
ask("http://updates.example:8080/x")
import threading
assert sum(thread.is_alive() for thread in threading.enumerate()) <= 2, "one question at a time"
"""
    for answer, took, gap in in_a_world_of_its_own(tmp_path, "", program):
        assert "no resolver answers for updates.example" in answer
        assert took < 1.5 and gap < 0.7


def test_three_dead_addresses_are_followed_by_the_one_that_lives(tmp_path: Path) -> None:
    """Dead: connections are neither taken nor refused, as the backlog is full."""
    program = """
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"alive")
    def log_message(self, *_): pass
held = []
for number in (2, 3, 4):
    listener = socket.socket(); listener.bind((f"127.0.0.{number}", 8080)); listener.listen(0); held.append(listener)
    for _ in range(3):
        filler = socket.socket(); filler.setblocking(False); held.append(filler)
        try: filler.connect((f"127.0.0.{number}", 8080))
        except BlockingIOError: pass
live = HTTPServer(("127.0.0.5", 8080), Handler)
threading.Thread(target=live.serve_forever, daemon=True).start()
ask("http://updates.example:8080/x")
ask("http://dead.example:8080/x")
"""
    hosts = "".join(f"127.0.0.{last} updates.example\n" for last in (2, 3, 4, 5))
    hosts += "".join(f"127.0.0.{last} dead.example\n" for last in (2, 3, 4))
    (alive, took, gap), (dead, took_dead, gap_dead) = in_a_world_of_its_own(tmp_path, hosts, program)
    assert alive == "alive" and took < 1.6 and gap < 0.6
    assert "timed out" in dead and took_dead < 1.6 and gap_dead < 0.6
