"""An end for what libgit2 waits for: it knows how long a server may be silent, not how long it may talk, nor how much.

In: seconds and bytes, and the ports that a remote is reached by. Out: whether they are over, and which. Rules: then
every connection to one of these ports that was made meanwhile is shut down, again and again until the caller has come
back; a server that sends a packet a moment without ever ending (of refs, of acknowledgements, that it is alive) holds
nobody for longer, and one that sends many fills no memory: libgit2 keeps all refs of a server in it.

    with cut_after(120, url, ports(url, 22), lambda: 32 << 20) as cut:
        remote.list_heads()             # pygit2.GitError when it was cut; cut.is_set(), cut.full
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

OURS = Path("/proc/self/fd")
USUAL = {"http": 80, "https": 443}
AGAIN = 0.1
"""Seconds between two looks: libgit2 may connect once more, and this is how long more than the bound may come."""
_asking = dict[threading.Event, "Cut"]()
"""Those that are under way: a poll, the record, a pull request's branch may be at the same time."""
_RECEIVED = 128
"""Where `tcpi_bytes_received` begins in `struct tcp_info` (linux/tcp.h)."""


def ports(url: str, usual: int) -> set[int]:
    """Those by which a remote is reached, or a proxy of the environment on the way to it."""
    found = {urlsplit(url).port or usual}
    for proxy in getproxies().values():
        with suppress(ValueError):
            found.add(urlsplit(proxy).port or USUAL.get(urlsplit(proxy).scheme, 80))
    return found


class Cut(threading.Event):
    """Set when it is over; `full`: for so many bytes of one connection (`most`, asked for at each look, as it may
    depend on what came already). `before`: sockets that were there."""

    def __init__(self, most: Callable[[], int]) -> None:
        super().__init__()
        self.full, self.most, self.before = False, most, frozenset(_sockets())


@contextmanager
def cut_after(seconds: float, url: str, ports: Collection[int], most: Callable[[], int]) -> Iterator[Cut]:
    """`most`: bytes."""
    done, cut = threading.Event(), Cut(most)
    end = time.monotonic() + seconds

    def watch() -> None:
        while not done.wait(AGAIN if cut.is_set() else min(AGAIN, max(end - time.monotonic(), 0.0))):
            ours = {name: number for name, number in _sockets().items() if name not in cut.before}
            if not cut.is_set():
                cut.full = any(_is_full(name, number, url, ports) for name, number in ours.items())
                if cut.full or time.monotonic() >= end:
                    cut.set()
            for number in ours.values() if cut.is_set() else ():
                _shut(number, ports)

    _asking[done] = cut
    threading.Thread(target=watch, name="cut", daemon=True).start()
    try:
        yield cut
    finally:
        done.set()
        del _asking[done]


def _is_full(name: str, number: int, url: str, ports: Collection[int]) -> bool:
    """Whether more came by a connection than by any of those that are asked now: it may be another one's."""
    received = _received(number, ports)
    bounds = [cut.most() for cut in (*_asking.values(),) if name not in cut.before]
    return received > max(bounds, default=received) and _leads_to(number, url)


def _leads_to(number: int, url: str) -> bool:
    """Whether it goes to the remote or a proxy, as far as names tell: other servers have the same ports."""
    names = [urlsplit(each).hostname for each in (url, *getproxies().values()) if "://" in each]
    with suppress(OSError, ValueError), closing(socket.socket(fileno=os.dup(number))) as copy:
        there = {info[4][0] for name in names if name for info in socket.getaddrinfo(name, None)}
        return not there or copy.getpeername()[0] in there
    return True


def _sockets() -> dict[str, int]:
    """Our sockets by their names in the kernel (`socket:[NUMBER]`, proc(5)), of which none comes twice."""
    found = dict[str, int]()
    for each in OURS.iterdir():
        with suppress(OSError):  # closed meanwhile
            name = str(each.readlink())
            if name.startswith("socket:"):
                found[name] = int(each.name)
    return found


@contextmanager
def _connection(number: int, ports: Collection[int]) -> Iterator[socket.socket | None]:
    """A copy is looked at: the number may mean another one by now, which is none of the remote's."""
    with closing(socket.socket(fileno=os.dup(number))) as copy:
        ours = copy.family in (socket.AF_INET, socket.AF_INET6) and copy.getpeername()[1] in ports
        yield copy if ours else None


def _received(number: int, ports: Collection[int]) -> int:
    """Bytes that came by a connection to one of these ports."""
    with suppress(OSError, ValueError, struct.error), _connection(number, ports) as ours:
        if ours:
            said = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED + 8)
            return int(struct.unpack_from("=Q", said, _RECEIVED)[0])
    return 0


def _shut(number: int, ports: Collection[int]) -> None:
    with suppress(OSError, ValueError), _connection(number, ports) as ours:
        if ours:
            ours.shutdown(socket.SHUT_RDWR)
