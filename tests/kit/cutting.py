"""Something on the way between two machines: it passes bytes on, and does with some of them what a story says.

with Cutting("127.0.0.1:8080", lambda way, data: data) as url: ...
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

Spoil = Callable[[str, bytes], bytes | None]
"""What becomes of a piece that goes `up` (to the server) or `down`; None: the connection is reset."""


@contextmanager
def cutting(server: str, spoil: Spoil) -> Iterator[str]:
    """In front of `server` (http://ADDRESS:PORT); gives the address of it."""
    host, _, port = server.removeprefix("http://").rpartition(":")
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        threading.Thread(target=_accept, args=(listening, (host, int(port)), spoil), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _accept(listening: socket.socket, server: tuple[str, int], spoil: Spoil) -> None:
    with suppress(OSError):
        while True:
            one, _ = listening.accept()
            other = socket.create_connection(server)
            for way, giver, taker in (("up", one, other), ("down", other, one)):
                threading.Thread(target=_pass_on, args=(way, giver, taker, spoil), daemon=True).start()


def _pass_on(way: str, giver: socket.socket, taker: socket.socket, spoil: Spoil) -> None:
    with suppress(OSError):
        while data := giver.recv(1 << 16):
            spoilt = spoil(way, data)
            if spoilt is None:
                break
            taker.sendall(spoilt)
    for each in (giver, taker):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
