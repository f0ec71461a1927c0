"""A request is told when it is whole: who never ends one costs no work."""

import contextlib
import socket
from collections.abc import Iterator

import h11
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from gitops.server import serve
from gitops.server.whole import Whole

MOST, HEAD = 10, 16 << 10
POST = b"POST /x HTTP/1.1\r\nHost: x\r\n"
SHORT = POST + b"Content-Length: 6\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = POST + b"Content-Length: 99\r\n\r\n"
REQUESTS = {
    "sized": (SHORT + b"onetwo", ["POST", b"onetwo", "end"]),
    "chunked": (CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n", ["POST", b"onetwo", "end"]),
    "empty": (POST + b"Content-Length: 0\r\n\r\n", ["POST", "end"]),
    "without": (POST + b"\r\n", ["POST", "end"]),
}


def told(conn: h11.Connection, *pieces: bytes) -> list[str | bytes]:
    """What is told after these, shortly."""
    words = list[str | bytes]()
    for piece in pieces:
        conn.receive_data(piece)
        while (event := conn.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                words.append(event.method.decode())
            else:
                words.append(bytes(event.data) if isinstance(event, h11.Data) else "end")
    return words


@pytest.mark.parametrize("name", REQUESTS)
@given(data=st.data())
def test_however_it_comes_it_is_told_once_and_whole(name: str, data: st.DataObject) -> None:
    sent, whole = REQUESTS[name]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=9)))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True) if end > start]
    conn = Whole(HEAD, MOST)
    assert told(conn, *pieces[:-1]) == []
    assert told(conn, pieces[-1]) == whole


@pytest.mark.parametrize("sent", [SHORT + b"onetw", CHUNKED + b"3\r\none\r\n"], ids=["sized", "chunked"])
def test_what_never_ends_is_never_told(sent: bytes) -> None:
    conn = Whole(HEAD, MOST)
    assert told(conn, sent) == []
    assert conn.waits
    assert conn.their_state == h11.SEND_BODY


def test_of_what_is_too_large_the_first_part_is_told_and_the_rest_as_it_comes() -> None:
    conn = Whole(HEAD, MOST)
    assert told(conn, LARGE, b"x" * MOST) == []
    assert told(conn, b"y", b"zz") == ["POST", b"x" * MOST + b"y", b"zz"]
    assert not conn.waits


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_question_is_not_kept_waiting_by_a_body_of_no_meaning(method: str) -> None:
    assert told(Whole(HEAD, MOST), LARGE.replace(b"POST", method.encode())) == [method]


def test_the_next_request_of_a_connection_waits_for_its_own_body() -> None:
    conn = Whole(HEAD, MOST)
    assert told(conn, SHORT + b"onetwo" + SHORT) == ["POST", b"onetwo", "end"]
    conn.send(h11.Response(status_code=204, headers=[]))
    conn.send(h11.EndOfMessage())
    conn.start_next_cycle()
    assert told(conn, b"three") == []
    assert told(conn, b"!") == ["POST", b"three!", "end"]


def test_what_is_no_http_in_a_body_is_refused() -> None:
    conn = Whole(HEAD, MOST)
    with pytest.raises(h11.RemoteProtocolError):
        told(conn, CHUNKED, b"no number\r\n")


@pytest.fixture
def asked() -> Iterator[tuple[str, list[bytes]]]:
    """A server, and the bodies that reached its app."""
    app, seen = FastAPI(), list[bytes]()

    @app.post("/x")
    async def x(request: Request) -> None:
        seen.append(await request.body())

    with serve(app, "127.0.0.1:0") as url:
        yield url.rpartition("/")[2], seen


@contextlib.contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as one:
        yield one


def test_who_asks_whether_to_go_on_is_told_to(asked: tuple[str, list[bytes]]) -> None:
    """RFC 9110, 10.1.1: curl asks so before a large body."""
    address, seen = asked
    with connected(address) as one:
        one.sendall(SHORT.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert one.recv(1000).startswith(b"HTTP/1.1 100 ")
        assert seen == []
        one.sendall(b"onetwo")
        assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert seen == [b"onetwo"]


def test_who_goes_away_before_the_end_never_was_here(asked: tuple[str, list[bytes]]) -> None:
    address, seen = asked
    with connected(address) as one:
        one.sendall(SHORT + b"onetw")
    with connected(address) as one:
        one.sendall(SHORT + b"onetwo")
        assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert seen == [b"onetwo"]


def test_a_body_that_is_no_http_is_answered_as_such(asked: tuple[str, list[bytes]]) -> None:
    address, seen = asked
    with connected(address) as one:
        one.sendall(CHUNKED)
        one.sendall(b"no number\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert seen == []
