"""Whoever is slow, or many, or silent, is ended; who comes meanwhile is served. A real server, real sockets."""

import asyncio
import http.client
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from multiprocessing.connection import wait
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from gitops.errors import StoreError
from gitops.server import create_app, serve
from gitops.server.bounds import Bounds, Crowd, holder
from gitops.server.busy import LEAST, MOST, Queue
from gitops.server.people.waiting.shared import Shared
from gitops.server.people.waiting.turns import REST, Turns
from gitops.settings import Settings
from gitops.store import Store

HASTY = Bounds(head=0.6, body=0.6, window=0.6, rate=100_000, look=0.1, most=16)
"""What takes a minute elsewhere."""
LARGE = 24 << 20
"""Bytes: more than the buffers of two sockets."""
PATIENCE = 20
AGAIN = re.compile(rb"\r\nretry-after: ([0-9]+)\r\n")
LAYER = "ab" * 32


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("bounds")
    store = Store.open(folder / "state")
    (folder / "layer").write_bytes(bytes(LARGE))
    store.layers.add(folder / "layer", LAYER)
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0", HASTY) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.exc_info] == []


def connected(port: int, origin: str = "127.0.0.1", said: bytes = b"") -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    one.settimeout(PATIENCE)
    one.bind((origin, 0))
    one.connect(("127.0.0.1", port))
    one.sendall(said)
    return one


def well_served(port: int) -> bool:
    """Somebody else, meanwhile."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as other:
        other.request("GET", "/healthz")
        return other.getresponse().status == 200


def dripping(one: socket.socket) -> None:
    """A byte now and then, until the other side ends it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        one.sendall(b"x")
        time.sleep(0.05)
    pytest.fail("nobody ended it")


def chunks(one: socket.socket) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        one.sendall(b"1\r\nx\r\n")
        time.sleep(0.05)
    pytest.fail("nobody ended it")


def silent(one: socket.socket) -> None:
    while one.recv(1 << 16):
        pass


def sipping(one: socket.socket) -> None:
    """Reads, but far less than the least."""
    end = time.monotonic() + 4 * HASTY.window
    while one.recv(200) and time.monotonic() < end:
        time.sleep(0.1)


POST = b"POST /api/v1/boxes/demo-1/report HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /layers/%s HTTP/1.1\r\nHost: x\r\n" % LAYER.encode()
RUDE: dict[str, tuple[bytes, Callable[[socket.socket], None]]] = {
    "says nothing": (b"", silent),
    "says half of a head": (b"GET / HTTP/1.1\r\nHost: x\r\n", silent),
    "a head byte by byte": (b"GET / HTTP/1.1\r\nX-Long: ", dripping),
    "a body that does not come": (POST + b"Content-Length: 1000\r\n\r\n", silent),
    "a body byte by byte": (POST + b"Content-Length: 100000\r\n\r\n", dripping),
    "chunks without an end": (POST + b"Transfer-Encoding: chunked\r\n\r\n", chunks),
    "a body that nobody wants": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", chunks),
    "asks and never reads": (GET + b"\r\n", lambda one: time.sleep(4 * HASTY.window)),
    "asks, says that it is the last, and never reads": (
        GET + b"Connection: close\r\n\r\n",
        lambda one: time.sleep(4 * HASTY.window),
    ),
    "asks and sips": (GET + b"\r\n", sipping),
}


@pytest.mark.parametrize("name", RUDE)
def test_a_client_that_makes_us_wait_is_ended_and_others_are_served(port: int, name: str) -> None:
    said, manner = RUDE[name]
    with closing(connected(port, said=said)) as one:
        assert well_served(port)
        with suppress(ConnectionError):
            manner(one)
        assert ended(one)


def ended(one: socket.socket) -> bool:
    """Whether the other side is gone; what is left in our own buffer comes first."""
    try:
        while one.recv(1 << 20):
            pass
    except ConnectionError:
        return True
    return True


def test_a_layer_that_is_cut_off_is_not_whole(port: int) -> None:
    """So a box cannot take the end of a connection for the end of a file."""
    other = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with closing(other):
        other.request("GET", f"/layers/{LAYER}")
        time.sleep(4 * HASTY.window)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            other.getresponse().read()


def test_who_is_slow_but_moves_on_gets_it_all(port: int) -> None:
    got, began = 0, time.monotonic()
    with closing(connected(port, said=GET + b"Range: bytes=0-999999\r\nConnection: close\r\n\r\n")) as one:
        while part := one.recv(40_000):
            got += len(part)
            time.sleep(0.1)
    assert got > 1_000_000 and time.monotonic() - began > 2 * HASTY.window


def test_a_connection_that_is_used_stays(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as one:
        one.connect()
        socket_ = one.sock
        for _ in range(8):
            one.request("GET", "/healthz")
            assert one.getresponse().read() == b"ok\n"
            time.sleep(HASTY.head / 4)
        assert one.sock is socket_


@pytest.mark.parametrize("said", [b"", GET + b"\r\n"], ids=["silent", "never reading"])
def test_of_too_many_connections_the_oldest_go_and_who_comes_is_heard(port: int, said: bytes) -> None:
    with ExitStack() as stack:
        for number in range(6 * HASTY.most):
            stack.enter_context(closing(connected(port, said=said)))
            if number % 8 == 0:
                assert well_served(port)


def test_whoever_holds_the_most_makes_room(port: int) -> None:
    """A box's connection outlives a flood from elsewhere, though it is older, and waits just as well."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as box, ExitStack() as stack:
        box.request("GET", "/healthz")
        assert box.getresponse().read() == b"ok\n"
        known = box.sock
        for _ in range(3 * HASTY.most):
            stack.enter_context(closing(connected(port, "127.0.0.2")))
        box.request("GET", "/healthz")
        assert box.getresponse().status == 200 and box.sock is known


def said_to(one: socket.socket) -> bytes:
    """All that comes until the end."""
    data = b""
    with suppress(ConnectionError):
        while part := one.recv(1 << 16):
            data += part
    return data


def test_who_is_one_too_many_is_told_when_to_come_again_each_another_moment(port: int) -> None:
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(connected(port, said=POST))) for _ in range(4 * HASTY.most)]
        first = [said_to(one) for one in crowd[: 2 * HASTY.most]]
    told = [int(found[1]) for each in first if (found := AGAIN.search(each))]
    assert all(each.startswith(b"HTTP/1.1 503 ") for each in first) and len(told) == len(first)
    assert min(told) >= LEAST and max(told) <= MOST and len({*told}) > 5


def test_bodies_that_do_not_come_to_their_end_fill_no_memory(tmp_path: Path) -> None:
    store, narrow = Store.open(tmp_path / "state"), Bounds(bodies=100_000)
    head = POST + b"Content-Length: 90000\r\n\r\n"
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0", narrow) as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for _ in range(3):
            one, two = (stack.enter_context(closing(connected(port, said=head + bytes(60_000)))) for _ in range(2))
            answered = {said_to(each)[:13] for each in (one, two) if gone_soon(each, (one, two))}
            assert answered == {b"HTTP/1.1 503 "}
            for each in (one, two):
                each.close()
            assert well_served(port)


def test_whoever_holds_most_bodies_makes_room_and_a_report_that_comes_is_taken(tmp_path: Path) -> None:
    """Else 64 MB of bodies without an end, a megabyte a second, would keep every report of the fleet out."""
    store, narrow = Store.open(tmp_path / "state"), Bounds(bodies=1_000_000)
    head = POST + b"Content-Length: 90000\r\nConnection: close\r\n\r\n"
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0", narrow) as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        box = stack.enter_context(closing(connected(port, said=head + bytes(40_000))))
        hoard = [stack.enter_context(closing(connected(port, "127.0.0.2", head + bytes(80_000)))) for _ in range(40)]
        assert well_served(port)
        box.sendall(bytes(20_000))
        assert well_served(port)
        with suppress(ConnectionError):
            box.sendall(bytes(30_000))
        assert re.match(rb"HTTP/1.1 4\d\d ", said_to(box)), "it was read, and is no report"
        left = [one for one in hoard if not gone(one)]
        assert 8 <= len(left) <= 12


def test_who_takes_nothing_keeps_no_socket_when_there_are_too_many() -> None:
    """Answered, but the answer lies here: what is said in the end would wait behind it for ever."""
    assert asyncio.run(_refused_behind(bytes(1 << 20)))


async def _refused_behind(body: bytes) -> bool:
    """Whether a connection ends that is refused while an answer lies here that nobody takes."""
    loop, answered, over = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
        answered.set()

    class Known(Crowd(Bounds()).protocol()):  # type: ignore[misc]
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            over.set()

    with socket.create_server(("127.0.0.1", 0)) as listening, closing(connected(listening.getsockname()[1])) as client:
        ours, _ = listening.accept()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        config = Config(app, lifespan="off")
        config.load()
        transport, one = await loop.connect_accepted_socket(lambda: Known(config, ServerState(), {}), ours)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(answered.wait(), PATIENCE)
        assert transport.get_write_buffer_size() and one.now_in() == "head"
        one.refuse()
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 2)
        if not over.is_set():
            transport.abort()
        return over.is_set()


def gone_soon(one: socket.socket, both: tuple[socket.socket, ...]) -> bool:
    """Whether it is this one that is ended, as one of both is."""
    return one in wait(both, PATIENCE)


def test_more_work_than_may_wait_is_refused_and_what_waits_is_done() -> None:
    async def all_of(many: int) -> list[object]:
        queue = Queue(at_a_time=1, most=3)
        return await asyncio.gather(*(queue.run(time.sleep, 0.05) for _ in range(many)), return_exceptions=True)

    found = asyncio.run(all_of(10))
    refused = [each for each in found if isinstance(each, HTTPException)]
    assert found.count(None) == 4 and len(refused) == 6
    assert {each.status_code for each in refused} == {503}
    assert all(LEAST <= int((each.headers or {})["retry-after"]) <= MOST for each in refused)


def test_one_goes_for_each_that_comes(tmp_path: Path) -> None:
    """To end many at once is work that all others would wait for."""
    store, roomy = Store.open(tmp_path / "state"), Bounds(most=64)
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0", roomy) as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        crowd = [stack.enter_context(closing(connected(port, said=POST))) for _ in range(roomy.most)]
        for number in range(1, 4):
            stack.enter_context(closing(connected(port)))
            assert well_served(port)  # and it leaves a place behind
            assert sum(map(gone, crowd)) == number + 1


def gone(one: socket.socket) -> bool:
    """Whether the other side has ended it by now; if it said something, that it is too busy."""
    one.setblocking(False)
    try:
        said = one.recv(1 << 10)
        return not said or (said.startswith(b"HTTP/1.1 503 ") and bool(AGAIN.search(said)))
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_boxes_behind_one_address_outlive_many_addresses_that_say_nothing(tmp_path: Path) -> None:
    """Three boxes of a site read a layer; whoever has as many addresses as connections is not spared for that."""
    store = Store.open(tmp_path / "state")
    (tmp_path / "layer").write_bytes(bytes(LARGE))
    store.layers.add(tmp_path / "layer", LAYER)
    roomy = Bounds(most=64)
    with serve(create_app(store, Settings(state=store.paths.root)), "127.0.0.1:0", roomy) as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for number in range(roomy.most - 3):
            stack.enter_context(closing(connected(port, f"127.0.1.{number + 1}")))
        time.sleep(1.2)  # they are not new any more
        asked = GET + b"Connection: close\r\n\r\n"
        boxes = [stack.enter_context(closing(connected(port, "127.0.0.2", asked))) for _ in range(4)]
        got = [0] * len(boxes)
        for number, box in enumerate(boxes):
            while part := box.recv(1 << 20):
                got[number] += len(part)
    assert min(got) > LARGE


def test_an_ipv6_network_is_one_holder() -> None:
    same = {holder(f"2001:db8:1:2:{number:x}::{number}") for number in range(1, 9)}
    assert same == {"2001:db8:1:2::/64"} and holder("2001:db8:1:3::1") not in same
    assert [holder(each) for each in ("192.0.2.7", "::ffff:192.0.2.7", "")] == ["192.0.2.7", "192.0.2.7", ""]


def test_there_are_no_more_connections_than_file_descriptors() -> None:
    program = (
        "import resource; from gitops.server.bounds import Bounds, Crowd; "
        "print(Crowd(Bounds()).most, resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 500))

    place = {"cwd": Path(__file__).parents[2], "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}}
    done = subprocess.run([sys.executable, "-c", program], preexec_fn=few, capture_output=True, check=True, **place)  # type: ignore[call-overload]
    assert done.stdout.split() == [b"100", b"500"]


# --- one answer for all ---


def test_many_who_ask_at_once_cost_two_answers_and_nobody_gets_an_old_one() -> None:
    begun, at_a_time = [], threading.Semaphore(1)
    shared: Shared

    def work() -> bytes:
        assert at_a_time.acquire(blocking=False), "twice at a time"
        begun.append(time.monotonic())
        time.sleep(0.1)
        at_a_time.release()
        return b"%d" % len(begun)

    async def ask() -> bool:
        asked = time.monotonic()
        return begun[int(await shared.get()) - 1] >= asked

    async def story() -> list[bool]:
        nonlocal shared
        shared = Shared(Turns(), work)
        first = asyncio.create_task(ask())
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(ask()) for _ in range(200)]
        return [await each for each in (first, *rest)]

    assert all(asyncio.run(story())) and len(begun) == 2
    assert begun[1] - begun[0] >= (1 + REST) * 0.1, "it rests"


def test_trouble_is_everybodys_and_over_with_its_cause() -> None:
    calls: list[int] = []

    def work() -> bytes:
        calls.append(1)
        if len(calls) == 1:
            raise StoreError("the database is away")
        return b"well"

    async def story() -> list[object]:
        shared = Shared(Turns(), work)
        together = await asyncio.gather(*(shared.get() for _ in range(5)), return_exceptions=True)
        return [*together, await shared.get()]

    *troubled, last = asyncio.run(story())
    assert last == b"well" and [type(each) for each in troubled] == [StoreError] * 5 and len(calls) == 2
