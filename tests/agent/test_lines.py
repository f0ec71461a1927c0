"""Connections that stay for a step: how few there are, and that a server which ends or holds them gains nothing."""

import resource
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import wait
from pathlib import Path
from socket import socket

import pytest
from toweros_agent.host import lines
from toweros_agent.offer.net import Http, NetError

from tests.kit.wires import until
from tests.simulators import rude
from tests.simulators.box import Box, State, drive, make
from tests.simulators.rude import Manner, Rude, Turns
from tests.simulators.update_server import UpdateServer

SILENCE, END = 0.3, 1.0


@pytest.fixture(autouse=True)
def _slow_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "KEPT", 60.0)


def client() -> Http:
    return Http(lambda: None, lambda _: None, SILENCE)


def asks(http: Http, server: Turns, times: int = 1) -> None:
    for _ in range(times):
        assert http.get(f"{server.url}/x", 100) == (200, "", b"ok")


def comes(http: Http) -> None:
    """What the server sends, or its end, after an answer that was read whole."""
    for _, connection in http.lines._idle.values():
        assert wait([connection.sock], 10)


def test_what_is_asked_in_one_step_goes_over_one_connection_which_ends_with_it() -> None:
    http = client()
    with Turns(rude.good) as server:
        asks(http, server, 3)
        assert http.rest(0) == 0.0
        http.post(f"{server.url}/report", b"{}")
        assert (server.asked, len(server.heard)) == (1, 4), "between two steps without a pause it stays"
        http.rest(30)
        until(lambda: server.left == 1)
        asks(http, server)
        assert server.asked == 2


def test_a_poll_at_rest_and_an_update_take_one_connection_for_each_step(tmp_path: Path, server: UpdateServer) -> None:
    (tmp_path / "box").mkdir()
    box, old, new = Box(tmp_path / "box", server.url, server.root), make(7), make(8, service=b"two")
    box.install(old)
    server.publish(old.document, old.uki, old.addon)
    server.keeps = True
    agent = box.power_on()
    assert agent
    drive(agent, State.IDLE)
    agent.step()
    agent.http.rest(1)
    before, asked = server.connections, len(server.requests)
    agent.reporter._sent = None
    agent.step()
    assert [row[0] for row in server.requests[asked:]] == ["GET", "GET", "POST"], "a server of before, and the report"
    assert server.connections - before == 1
    for root, data in new.blobs.items():
        server.add_layer(data, root)
    server.publish(new.document, new.uki, new.addon)
    drive(agent, State.REBOOTING)
    assert server.connections - before == 1 and box.bootable() == [7, 8]


def test_a_server_that_hangs_up_in_the_face_of_a_question_is_asked_once_more_at_once() -> None:
    http = client()
    with Turns(rude.good, rude.hanging_up, rude.good) as server:
        asks(http, server, 2)
        assert (server.asked, len(server.heard)) == (2, 3)
    with Turns(rude.good, rude.hanging_up) as server:
        asks(http, server)
        with pytest.raises(NetError):
            http.get(f"{server.url}/x", 100)
        assert (server.asked, len(server.heard)) == (2, 3), "and not a third time"
    with Turns(rude.hanging_up) as server:
        with pytest.raises(NetError):
            http.get(f"{server.url}/x", 100)
        assert server.asked == 1, "who hangs up on a new connection does not want to be asked"


def test_a_report_is_never_sent_twice() -> None:
    http = client()
    with Turns(rude.good, rude.hanging_up, rude.good) as server:
        asks(http, server)
        with pytest.raises(NetError):
            http.post(f"{server.url}/report", b"{}")
        assert sum(data.startswith(b"POST") for data in server.heard) == 1


def test_what_a_server_closed_by_now_is_not_used_so_no_report_is_lost() -> None:
    http = client()

    def only_one(connection: object) -> None:
        rude.good(connection)  # type: ignore[arg-type]
        rude.hanging_up(connection)  # type: ignore[arg-type]

    with Turns(only_one, rude.good) as server:
        asks(http, server)
        comes(http)
        assert http.post(f"{server.url}/report", b"{}") == ""
        assert server.asked == 2


@pytest.mark.parametrize("manner", [rude.silent, rude.trickled_headers, rude.trickled_body, rude.always_going_on])
def test_a_server_that_was_good_once_holds_nobody_longer_than_others(manner: Manner) -> None:
    last = gap = 0.0

    def tick() -> None:
        nonlocal last, gap
        now = time.monotonic()
        last, gap = now, max(gap, now - last if last else 0.0)

    http = Http(tick, lambda _: None, SILENCE)
    with Turns(rude.good, manner) as server:
        asks(http, server)
        last, began = 0.0, time.monotonic()
        with http.at_most(END), pytest.raises(NetError):
            http.get(f"{server.url}/x", 2000)
        assert server.asked == 1, "on the connection that was kept"
        assert time.monotonic() - began < END + 0.5 and gap < SILENCE + 0.3


def test_more_files_than_select_can_count_are_no_matter() -> None:
    """`FD_SETSIZE` is 1,024 (select(2))."""
    http, limits = client(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 4096), limits[1]))
    with ExitStack() as files, Turns(rude.good) as server:
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        while files.enter_context(Path("/dev/null").open()).fileno() < 1024:
            pass
        asks(http, server, 2)
        assert server.asked == 1


def test_what_nobody_asked_for_is_nobodys_answer() -> None:
    http, read = client(), threading.Event()

    def one_more(connection: object) -> None:
        rude.good(connection)  # type: ignore[arg-type]
        assert read.wait(10)
        rude.good(connection)  # type: ignore[arg-type]

    def other(connection: object) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright")  # type: ignore[attr-defined]

    with Turns(one_more, other) as server:
        asks(http, server)
        read.set()
        comes(http)
        assert http.get(f"{server.url}/x", 100)[2] == b"right"


def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "KEPT", 0.0)
    with Turns(rude.good) as server:
        asks(client(), server, 2)
        assert server.asked == 2


def late_body(connection: socket) -> None:
    """Of an answer that has none, to the face of the next question."""
    connection.sendall(b"<html>nothing here</html>\r\n")


def without(connection: socket) -> None:
    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 25\r\n\r\n")


def test_a_proxy_that_sends_a_body_after_the_answer_to_a_head_costs_a_connection_and_no_answer() -> None:
    http = client()
    with Turns(without, late_body, rude.good) as server:
        assert http.size(f"{server.url}/x.zst") is None
        asks(http, server)
        assert server.asked == 2
    with Turns(late_body) as server, pytest.raises(NetError):
        asks(http, server)


def test_a_server_that_sends_each_question_on_to_another_place_has_few_connections_kept() -> None:
    http = client()
    with Turns(rude.good) as one, Rude(rude.good, "0.0.0.0") as server:
        server._serve = one._serve  # type: ignore[method-assign]
        for number in range(1, 40):
            assert http.get(f"http://127.0.2.{number}:{server.port}/x", 100)[2] == b"ok"
        kept = [connection.sock for _, connection in http.lines._idle.values()]
        assert 0 < len(kept) <= lines.MOST
        http.rest(1)
        until(lambda: one.left == 39)
