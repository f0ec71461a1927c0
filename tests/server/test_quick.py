"""What is answered without a parser: the same as with one, or nothing."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI

from gitops.server import create_app, serve
from gitops.server.quick import MOST, Quick
from gitops.settings import Settings
from tests.kit.published import Kit, kit

STAMP, ETAG = "/metadata/timestamp.json", b'If-None-Match: "%s"\r\n'
HEAD = b"GET /metadata/timestamp.json HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def here(tmp_path: Path) -> Kit:
    made = kit(tmp_path / "fleet")
    made.publisher.publish([made.publication("demo-1", 1)])
    return made


@pytest.fixture
def app(here: Kit) -> FastAPI:
    return create_app(here.store, Settings(state=here.store.paths.root))


@pytest.fixture
def port(app: FastAPI) -> Iterator[int]:
    with serve(app, "127.0.0.1:0") as url:
        yield int(url.rpartition(":")[2])


def said(port: int, *pieces: bytes) -> bytes:
    """What comes until the other side is silent, or ends."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as one:
        for piece in pieces:
            one.sendall(piece)
            one.settimeout(0.3)
        data = b""
        try:
            while more := one.recv(1 << 16):
                data += more
        except TimeoutError:
            pass
        return data


def headers(answer: bytes) -> dict[bytes, bytes]:
    lines = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return {b"": lines[0], **dict(line.split(b": ", 1) for line in lines[1:])} | {b"date": b""}


def learned(port: int) -> bytes:
    """The ETag; from here on the quick way knows the file."""
    return headers(said(port, HEAD + b"\r\n"))[b"etag"]


def test_the_quick_way_says_what_the_long_way_says(port: int, app: FastAPI) -> None:
    condition = b"If-None-Match: " + learned(port) + b"\r\n"
    quick, asked = app.state.quick, list[bytes]()
    real = quick.answer
    quick.answer = lambda data, always: asked.append(real(data, always) or b"") or real(data, always)
    short = said(port, HEAD + condition + b"\r\n")
    long = said(port, HEAD + condition + b"X-Other: y\r\n\r\n")
    assert asked[0] and not asked[1] and b" 304 " in short
    assert headers(short) == headers(long) and short.endswith(b"\r\n\r\n")
    twice = said(port, HEAD + condition + b"\r\n" + HEAD + condition + b"\r\n")
    assert twice.count(b"HTTP/1.1 304") == 2, "one behind the other: the long way answers both"
    assert said(port, HEAD, condition + b"\r\n").count(b"HTTP/1.1 304") == 1


@pytest.mark.parametrize(
    "more",
    [
        b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n",
        b"Host: y\r\n", b"If-None-Match: *\r\n", b"Connection: close\r\n", b"Range: bytes=0-1\r\n", b" folded: x\r\n",
        b"Accept: \x01\r\n", b"Accept: \xff\r\n", b"Accept : x\r\n", b"Accept:x\n", b"Cookie: a=b\r\n",
        b"".join(b"A-%d: x\r\n" % number for number in range(20)), b"Accept: " + b"x" * 3000 + b"\r\n",
    ],
)  # fmt: skip
def test_whatever_is_not_beyond_doubt_goes_the_long_way(here: Kit, more: bytes) -> None:
    quick = known(here)
    assert quick.answer(HEAD + ETAG % b"1" + b"\r\n", [])
    assert quick.answer(HEAD + ETAG % b"1" + more + b"\r\n", []) is None


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /metadata/timestamp.json HTTP/1.1\r\n" + ETAG % b"1" + b"\r\n",
        b"GET /metadata/../timestamp.json HTTP/1.1\r\nHost: x\r\n" + ETAG % b"1" + b"\r\n",
        b"GET /metadata/timestamp.json?x HTTP/1.1\r\nHost: x\r\n" + ETAG % b"1" + b"\r\n",
        b"GET http://x/metadata/timestamp.json HTTP/1.1\r\nHost: x\r\n" + ETAG % b"1" + b"\r\n",
        b"GET /metadata/timestamp.json HTTP/1.0\r\nHost: x\r\n" + ETAG % b"1" + b"\r\n",
        b"HEAD /metadata/timestamp.json HTTP/1.1\r\nHost: x\r\n" + ETAG % b"1" + b"\r\n",
        HEAD + ETAG % b"2" + b"\r\n",
        HEAD + b"\r\n",
        HEAD + ETAG % b"1",
        HEAD + ETAG % b"1" + b"\r\nGET",
        b"",
    ],
)
def test_another_request_goes_the_long_way(here: Kit, request_: bytes) -> None:
    assert known(here).answer(request_, []) is None


def known(here: Kit) -> Quick:
    quick = Quick(here.store.paths.metadata, [])
    quick.learn("timestamp.json", (here.store.paths.metadata / "timestamp.json").stat(), {"etag": '"1"'})
    return quick


def test_a_file_that_is_another_one_by_now_or_gone_is_not_the_one_that_was_read(here: Kit, port: int) -> None:
    condition = b"If-None-Match: " + learned(port) + b"\r\n"
    assert b" 304 " in said(port, HEAD + condition + b"\r\n")
    here.publisher.publish([here.publication("demo-1", 2, b"two")])
    assert b" 200 " in said(port, HEAD + condition + b"\r\n")
    (here.store.paths.metadata / "timestamp.json").unlink()
    assert b" 404 " in said(port, HEAD + condition + b"\r\n")


def test_so_many_files_are_known_and_no_more(tmp_path: Path) -> None:
    quick, file = Quick(tmp_path, []), tmp_path.stat()
    for number in range(MOST + 10):
        quick.learn(f"{number}.root.json", file, {"etag": '"1"'})
    assert len(quick._files) == MOST
