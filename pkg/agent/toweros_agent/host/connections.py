"""Connections that end in time, whatever the other side does.

`http.client` bounds each single wait: whoever sends a byte a second holds it for ever, and neither a name that no
resolver answers for nor the fourth dead address of one has any bound. Here a whole exchange has one end, no single wait
is longer than `silence`, and `tick` is called between any two waits, so that no server can starve the watchdog.

    limits = Limits(end=time.monotonic() + 60, silence=20, tick=watchdog.feed)
    connection = Plain("updates.example", 8080, limits)      # or `Tls`, or `Unix(path, limits)`
"""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import IO, Any

from toweros_agent import deadlines
from toweros_agent.wiring.way_out import WayOut

PIECE = 16 << 10
HTTPS_PORT = 443
DIRECT = WayOut()
MAX_ADDRESSES = 8
"""Of one name that are tried."""


def readable(source: int | IO[bytes] | socket.socket, seconds: float) -> bool:
    """Whether a byte or an end comes within so long. Not by `select`: it takes no descriptor above 1,023."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


@dataclass
class Limits:
    """`end` is of the monotonic clock, `silence` seconds."""

    end: float
    silence: float
    tick: Callable[[], None] = lambda: None

    def renew(self, others: "Limits") -> None:
        """From now on they are these, wherever they are asked."""
        self.end, self.silence, self.tick = others.end, others.silence, others.tick

    def wait(self, longest: float = float("inf")) -> float:
        """How long the next wait may be. Raises `TimeoutError` when the end has come."""
        self.tick()
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long altogether")
        return min(left, self.silence, longest)


class Bounded(socket.socket):
    """A socket that asks its limits before each wait."""

    limits: Limits

    def recv_into(self, *args: Any, **named: Any) -> int:
        self.settimeout(self.limits.wait())
        return super().recv_into(*args, **named)

    def sendall(self, data: Any, *args: Any) -> None:
        rest = memoryview(data)
        while rest:
            self.settimeout(self.limits.wait())
            rest = rest[self.send(rest[:PIECE], *args) :]


class BoundedTls(Bounded, ssl.SSLSocket):
    """The same with TLS."""


class Plain(HTTPConnection):
    """HTTP."""

    def __init__(self, host: str, port: int | None, limits: Limits, way: WayOut = DIRECT) -> None:
        super().__init__(host, port)
        self.limits, self.way = limits, way
        self.proxy = way.proxy("https" if self.default_port == HTTPS_PORT else "http", host)

    def connect(self) -> None:
        self.sock: socket.socket = _reach(*(self.proxy or (self.host, self.port)), self.limits)


class Tls(Plain):
    """HTTPS, with the system's certificates and those of the box's own authorities. A proxy carries it unread."""

    default_port = HTTPS_PORT

    def connect(self) -> None:
        context = ssl.create_default_context()
        context.sslsocket_class = BoundedTls
        if self.way.authorities:
            context.load_verify_locations(self.way.authorities)
        bare = _reach(*(self.proxy or (self.host, self.port)), self.limits)
        try:
            if self.proxy:
                _tunnel(bare, self.host, self.port)
            bare.settimeout(self.limits.wait())  # for the whole handshake
            wrapped = context.wrap_socket(bare, server_hostname=self.host)
        except BaseException:
            bare.close()
            raise
        assert isinstance(wrapped, BoundedTls)
        wrapped.limits = self.limits
        self.sock = wrapped


class Unix(Plain):
    """HTTP over the socket at `path`."""

    def __init__(self, path: str, limits: Limits) -> None:
        super().__init__("localhost", None, limits)
        self.path = path

    def connect(self) -> None:
        self.sock = _connect(socket.AF_UNIX, self.path, self.limits)


def _tunnel(bare: socket.socket, host: str, port: int) -> None:
    """Ask a proxy for a connection (RFC 9110, 9.3.6). Raises `OSError`."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    bare.sendall(f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    answer = HTTPResponse(bare, method="CONNECT")
    try:
        answer.begin()
        if answer.status != 200:
            raise OSError(f"the proxy refuses {name}: HTTP {answer.status}")
    finally:
        answer.close()


def _reach(host: str, port: int, limits: Limits) -> Bounded:
    """The first address of `host` that answers."""
    problem: OSError = OSError(f"{host} has no address")
    for family, _, _, _, address in addresses(host, port, limits)[:MAX_ADDRESSES]:
        try:
            return _connect(family, address, limits)
        except OSError as error:
            problem = error
    raise problem


def _connect(family: int, address: Any, limits: Limits) -> Bounded:
    connection = Bounded(family, socket.SOCK_STREAM)
    connection.limits = limits
    try:
        connection.settimeout(limits.wait(deadlines.CONNECT))
        connection.connect(address)
        if family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection


class _Lookup(threading.Thread):
    """One question to the C library, which cannot be interrupted: it ends by itself, and whoever asks next gets it."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(daemon=True)
        self.host, self.port, self.problem = host, port, OSError()
        self.found: list[Any] = []

    def run(self) -> None:
        try:
            self.found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.problem = OSError(f"{self.host}: {error}")


_lookups: dict[tuple[str, int], _Lookup] = {}
"""At most one for each name: a resolver that never answers costs one thread."""


def addresses(host: str, port: int, limits: Limits) -> list[Any]:
    """As `getaddrinfo` gives them, within `RESOLVE`. Raises `OSError`."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        pass  # a name
    lookup = _lookups.get((host, port))
    if lookup is None:
        lookup = _lookups[host, port] = _Lookup(host, port)
        lookup.start()
    end = time.monotonic() + deadlines.RESOLVE
    while lookup.is_alive():
        if time.monotonic() >= end:
            raise TimeoutError(f"no resolver answers for {host}")
        lookup.join(limits.wait(min(deadlines.SLICE, deadlines.RESOLVE)))
    _lookups.pop((host, port), None)  # another thread may have asked for the same
    if not lookup.found:
        raise lookup.problem
    return lookup.found
