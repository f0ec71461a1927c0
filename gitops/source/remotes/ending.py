"""An end for what libgit2 waits for: it knows how long a server may be silent, not how long it may talk.

In: seconds, and the ports that a remote is reached by. Out: whether they are over. Rules: then every connection to one
of these ports that was made meanwhile is shut down, again and again until the caller has come back; a server that sends
a packet a moment without ever ending (of refs, of acknowledgements, that it is alive) holds nobody for longer.

    with cut_after(120, ports("https://git.example/fleet.git", 443)) as over:
        remote.list_heads()             # pygit2.GitError when it was cut; over.is_set()
"""

import os
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

OURS = Path("/proc/self/fd")
USUAL = {"http": 80, "https": 443}
AGAIN = 1.0
"""Seconds between two looks: libgit2 may connect once more."""


def ports(url: str, usual: int) -> set[int]:
    """Those by which a remote is reached, or a proxy of the environment on the way to it."""
    found = {urlsplit(url).port or usual}
    for proxy in getproxies().values():
        with suppress(ValueError):
            found.add(urlsplit(proxy).port or USUAL.get(urlsplit(proxy).scheme, 80))
    return found


@contextmanager
def cut_after(seconds: float, ports: Collection[int]) -> Iterator[threading.Event]:
    """The event is set when the time is over."""
    done, over, before = threading.Event(), threading.Event(), set(_sockets())

    def watch() -> None:
        if done.wait(seconds):
            return
        over.set()
        while True:
            for name, number in _sockets().items():
                if name not in before:
                    _shut(number, ports)
            if done.wait(AGAIN):
                return

    threading.Thread(target=watch, name="cut", daemon=True).start()
    try:
        yield over
    finally:
        done.set()


def _sockets() -> dict[str, int]:
    """Our sockets by their names in the kernel (`socket:[NUMBER]`, proc(5)), of which none comes twice."""
    found = dict[str, int]()
    for each in OURS.iterdir():
        with suppress(OSError):  # closed meanwhile
            name = str(each.readlink())
            if name.startswith("socket:"):
                found[name] = int(each.name)
    return found


def _shut(number: int, ports: Collection[int]) -> None:
    """A copy is looked at: the number may mean another one by now, which is none of the remote's."""
    with suppress(OSError, ValueError), closing(socket.socket(fileno=os.dup(number))) as copy:
        if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.getpeername()[1] in ports:
            copy.shutdown(socket.SHUT_RDWR)
