"""Who asks a server for the same thing again and again, cheaply: the server is what is measured.

In: a port, the bytes of a request, how many connections. Out: answers, and what each took. Rules: an answer is over
where its head is, so what is asked must have none but a head (304); `fresh`: a connection for each request.

    asked(8080, conditional("/metadata/timestamp.json", etag), seconds=5, connections=64)
"""

import os
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

END = b"\r\n\r\n"
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Answers:
    """`count` answers in `seconds`; `wrong` are those that were no 304."""

    count: int = 0
    wrong: int = 0
    seconds: float = 0.0
    took: list[float] = field(default_factory=list)


def conditional(path: str, etag: str) -> bytes:
    """As a box asks."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\nIf-None-Match: {etag}\r\n\r\n"
    ).encode()


def asked(port: int, request: bytes, *, seconds: float, connections: int = 32, fresh: bool = False) -> Answers:
    """So many at a time, for so long."""
    answers, began, waiting = Answers(), time.monotonic(), dict[int, tuple[socket.socket, float]]()
    poll = select.epoll()

    def begin(one: socket.socket | None) -> None:
        one = one or socket.create_connection(("127.0.0.1", port))
        if one.fileno() not in waiting:
            poll.register(one.fileno(), select.EPOLLIN)
        waiting[one.fileno()] = one, time.monotonic()
        one.sendall(request)

    for _ in range(connections):
        begin(None)
    while time.monotonic() - began < seconds:
        for number, _ in poll.poll(1):
            one, since = waiting[number]
            try:
                data = one.recv(8192)
            except ConnectionResetError:  # nginx ends it after so many requests: the next was on its way
                data = b""
            if data.endswith(END):
                answers.count += 1
                answers.wrong += b" 304 " not in data[:16]
                answers.took.append(time.monotonic() - since)
            if fresh or not data:
                poll.unregister(number)
                del waiting[number]
                one.close()
            begin(None if fresh or not data else one)
    answers.seconds = time.monotonic() - began
    for one, _ in waiting.values():
        with suppress(OSError):
            one.close()
    return answers


def processor(*pids: int) -> float:
    """Seconds of processor time that these processes took so far."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICK


def percentile(took: list[float], share: float) -> float:
    """Milliseconds."""
    return 1000 * sorted(took)[min(int(share * len(took)), len(took) - 1)] if took else 0.0
