"""Connections that nobody holds for ever: uvicorn's own, with an end to every wait for the other side.

In: what uvicorn accepts. Out: a connection that is cut as soon as one of these is over. Rules:

- A request's head has `HEAD` seconds, its body `BODY`, an answer moves at least `RATE` bytes a second: what the other
  side's TCP acknowledged counts, not what lies in a buffer of ours. As long as the work is ours, nothing runs out.
- Of more than `most` connections those without a request go first, then those that send one, then those that read,
  and new ones last; among these, those of whoever holds most beyond a fair share, then the oldest. So who comes is
  heard, however many are there. Boxes behind one address share it; who has many addresses has them in one IPv6 /64.
- Neither side's slowness fills memory: the kernel takes `UNSENT` bytes ahead of the network.
- Who is ended before anything of a request was done is told when to come again (busy.py); so is whose body is one too
  many to be held: one of whoever holds most.
- No work begins for a request before its body is here (whole.py).

    uvicorn.Config(app, http=Crowd(Bounds()).protocol())
"""

import asyncio
import fcntl
import ipaddress
import resource
import socket
import struct
import sys
import termios
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from gitops.server.busy import refusal
from gitops.server.quick import Quick
from gitops.server.whole import Whole

log = structlog.get_logger(__name__)

MOST = 2000
"""Connections at a time: every box of a large fleet may fetch at once."""
SPARE = 300
"""File descriptors for everything else; a connection has two, its socket and the file that it reads."""
AT_ONCE, ALIKE = 8, 2
"""One in so many connections goes before all are sorted again, and one in so few if nothing speaks for one of these
more than for another: sorting keeps boxes waiting."""
FAIR = 16
"""One in so many connections is nobody's too much: a site's boxes come from one address."""
SITE = 64
"""Bits of an IPv6 address that are one customer's; all others are free for the taking."""
UNSENT = 64 << 10
TCP_NOTSENT_LOWAT = 25
"""linux/tcp.h."""
ACKED = 120
"""Where `struct tcp_info` of linux/tcp.h has `tcpi_bytes_acked`, 64 bits."""
YOUNG = 1.0
"""Seconds for which a connection is new: its request is on the way."""
STAGES = {"head": 0, "body": 1, "answer": 2, "new": 3}
"""Who goes first."""
NEXT = {h11.IDLE: "head", h11.SEND_BODY: "body"}
"""What comes, by what the other side has said so far."""
PARTS = 16
"""All connections are looked at in so many parts: who asks meanwhile waits for one of them, not for all."""
LOG_EVERY = 60.0
HEAD, BODY = 16 << 10, 256 << 10
"""Bytes of the largest head, and of the largest body that is any use."""
BODIES = 64 << 20
"""Bytes of all bodies together that are on the way."""


@dataclass(frozen=True)
class Bounds:
    """Seconds, and bytes a second. An agent gives a report 60 s, and gives up a download at the same rate."""

    head: float = 20.0
    body: float = 60.0
    window: float = 60.0
    rate: int = 64
    look: float = 2.0
    most: int = MOST
    bodies: int = BODIES


class Connection(H11Protocol):
    """One connection. `since`: when the present stage began (monotonic seconds)."""

    crowd: "Crowd"
    conn: Whole

    def __init__(self, *said: Any, **named: Any) -> None:
        super().__init__(*said, **named)
        self.conn = Whole(HEAD, BODY)
        self.stage, self.since = "head", time.monotonic()
        self._mark, self._marked = 0, self.since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._socket.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT)
        # The kernel's buffer is enough for who reads. uvloop's TLS never goes on after it was told to have none.
        transport.set_write_buffer_limits(UNSENT if transport.get_extra_info("ssl_object") else 0)
        self.crowd.joined(self)

    def data_received(self, data: bytes) -> None:
        if self._quickly(data):
            return
        super().data_received(data)
        if self.conn.waits and self.conn.they_are_waiting_for_100_continue:
            self.transport.write(self.conn.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        self.crowd.hold(self, self.conn.held)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.hold(self, 0)
        super().connection_lost(exc)

    def _quickly(self, data: bytes) -> bool:
        """Whether it is answered already: nothing is under way, and all that was said before is on its way."""
        quick, conn = self.crowd.quick, self.conn
        idle = quick and conn.their_state is h11.IDLE and conn.our_state is h11.IDLE and not conn.trailing_data[0]
        if not idle or not quick or self.transport.get_write_buffer_size():
            return False
        answer = quick.answer(data, self.server_state.default_headers)
        if answer is None:
            return False
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def on_response_complete(self) -> None:
        self.stage, self.since = "answer", time.monotonic()
        super().on_response_complete()

    def overdue(self, now: float) -> str:
        """Why this connection ends; "": it goes on.

        Raises:
            OSError: it is ended already.
        """
        stage = self.now_in()
        if stage != self.stage:
            self.stage, self.since = stage, now
            self._mark, self._marked = 0, now
        if stage != "answer":
            return stage if now - self.since > getattr(self.crowd.bounds, stage) else ""
        return "answer" if self._stalls(now) else ""

    def now_in(self) -> str:
        """What comes next: the rest of a `head`, of its `body`, or our `answer`."""
        return NEXT.get(self.conn.their_state, "answer")

    def _stalls(self, now: float) -> bool:
        """Whether what we have to say is not taken."""
        acknowledged, bounds = self._acknowledged(), self.crowd.bounds
        if acknowledged - self._mark >= bounds.rate * bounds.window or not self._pending():
            self._mark, self._marked = acknowledged, now
        return now - self._marked > bounds.window

    def _pending(self) -> int:
        waiting = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return self.transport.get_write_buffer_size() + int.from_bytes(waiting, sys.byteorder)

    def _acknowledged(self) -> int:
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKED + 8)
        return int(struct.unpack_from("=Q", info, ACKED)[0])

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self.transport.get_extra_info("socket")
        return found

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def refuse(self) -> None:
        """There are too many. Over TLS it is just ended: many a client never says that it ends, too. So is who did not
        take what was said before: it would not take this either, and its socket would stay."""
        if self.now_in() == "answer" or self.transport.get_extra_info("ssl_object") or self._pending():
            return self.end()
        self._unset_keepalive_if_required()
        self.transport.write(refusal())
        self.transport.close()

    def end(self) -> None:
        """At once: what was not sent is dropped."""
        self._unset_keepalive_if_required()
        # Without a linger of 0 the kernel goes on with what it has of ours, in memory, for minutes.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Crowd:
    """All connections of one server. `most`: as many as there are file descriptors for."""

    def __init__(self, bounds: Bounds, quick: Quick | None = None) -> None:
        self.bounds, self.quick = bounds, quick
        room = (descriptors(2 * bounds.most + SPARE) - SPARE) // 2
        self.most = max(min(bounds.most, room), AT_ONCE)
        self._looking, self._told, self._bodies = False, 0.0, Counter[Connection]()
        self._held = 0
        self._leaving, self._unseen = list[tuple[Connection, str]](), list[Connection]()
        self._ended = Counter[str]()

    def protocol(self) -> type[Connection]:
        return type("Bounded", (Connection,), {"crowd": self})

    def joined(self, one: Connection) -> None:
        """End others if there are too many now, and look at all from time to time, as long as there are any."""
        everybody: set[Any] = one.connections
        if len(everybody) > self.most:
            self._make_room(everybody)
        if not self._looking:
            self._looking = True
            one.loop.call_later(self.bounds.look / PARTS, self._look, one.loop, everybody)

    def hold(self, one: Connection, size: int) -> None:
        """So many bytes of its body are here by now."""
        self._held += size - self._bodies[one]
        self._bodies[one] = size
        if not size:
            del self._bodies[one]
        elif self._held > self.bounds.bodies:
            self._drop_bodies()

    def _drop_bodies(self) -> None:
        """Those of whoever holds most, the largest first: who comes just now may have the only one. An eighth of all at
        once, so that a flood pays for the sorting."""
        whose = Counter[str]()
        for each, size in self._bodies.items():
            whose[holder(each.address)] += size
        for each in sorted(self._bodies, key=lambda one: (-whose[holder(one.address)], -self._bodies[one])):
            if self._held <= self.bounds.bodies * 7 // 8:
                break
            self.hold(each, 0)
            with suppress(OSError):
                each.refuse()

    def _make_room(self, everybody: set[Any]) -> None:
        """One goes for each that comes: to end many at once would keep all others waiting."""
        while len(everybody) > self.most:
            if not self._leaving:
                self._leaving = self._first_to_go(everybody)
            each, stage = self._leaving.pop()
            if each in everybody and each.now_in() == stage:
                everybody.discard(each)
                with suppress(OSError):
                    each.refuse()

    def _first_to_go(self, everybody: set[Any]) -> list[tuple[Connection, str]]:
        """So many that sorting all of them pays, and what each waited for; the first is the last. Of those alike, more:
        who comes while they go would not be before them."""
        now, held = time.monotonic(), Counter(holder(each.address) for each in everybody)
        fair = max(self.most // FAIR, 1)
        new = _new(everybody, now, fair)

        too_much = {name: fair - number for name, number in held.items() if number > fair}

        def worth(each: Connection) -> tuple[int, int, float]:
            stage = "new" if each in new else each.now_in()
            return STAGES[stage], too_much.get(holder(each.address), 0), each.since

        if now - self._told > LOG_EVERY:
            self._told = now
            log.warning("server.full", connections=self.most, address=held.most_common(1)[0])
        ranked = sorted(((worth(each), each) for each in everybody), key=itemgetter(0))
        (stage, beyond, _), _ = ranked[0]
        alike = sum(1 for (at, over, _), _ in ranked if at == stage and (over < 0) == (beyond < 0))
        first = ranked[: max(min(alike, self.most // ALIKE), self.most // AT_ONCE, 1)]
        return [(each, each.now_in()) for _, each in reversed(first)]

    def _look(self, loop: asyncio.AbstractEventLoop, everybody: set[Any]) -> None:
        """One part of them, and the next a little later, whatever becomes of this one."""
        self._looking = bool(everybody)
        if everybody:
            loop.call_later(self.bounds.look / PARTS, self._look, loop, everybody)
        self._unseen = self._unseen or list(everybody)
        part, now = -(-len(everybody) // PARTS) or 1, time.monotonic()
        there = everybody.intersection(self._unseen[-part:])
        del self._unseen[-part:]
        self._ended.update(reason for each in there if (reason := _ended(each, now)))
        if self._ended and not self._unseen:
            log.info("connections.ended", **self._ended)
            self._ended.clear()


def _new(everybody: set[Any], now: float, fair: int) -> set[Connection]:
    """Whose request is on the way; of each holder no more than a fair share, else a flood would be nothing but new."""
    count, found = Counter[str](), set[Connection]()
    young = [each for each in everybody if now - each.since < YOUNG and each.now_in() == "head"]
    for each in sorted(young, key=lambda one: -one.since):
        count[name := holder(each.address)] += 1
        if count[name] <= fair:
            found.add(each)
    return found


@lru_cache(maxsize=1 << 13)
def holder(address: str) -> str:
    """Whose connection it is: the IPv4 address, or the network of the IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, SITE), strict=False))


def _ended(connection: Connection, now: float) -> str:
    reason = ""
    with suppress(OSError):  # it is closed already
        if reason := connection.overdue(now):
            connection.end()
    return reason


def descriptors(wanted: int) -> int:
    """How many files this process may open; more than it could so far, where the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft
