"""A wire on the loopback that remembers what went over it.

with counted("http://127.0.0.1:8080") as wire:
    post(f"{wire.url}/...")
    wire.requests[-1]           # bytes of the last request, head and body
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Wire:
    """Requests as they went; the next one of a connection begins after an answer."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def counted(url: str) -> Iterator[Wire]:
    there = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((there.hostname, there.port))
            place: list[int] = []
            threading.Thread(target=answers, args=(far, near, place), daemon=True).start()
            threading.Thread(target=asks, args=(near, far, place), daemon=True).start()

    def asks(near: socket.socket, far: socket.socket, place: list[int]) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if not place:
                    place.append(len(wire.requests))
                    wire.requests.append(b"")
                wire.requests[place[0]] += data
                far.sendall(data)

    def answers(far: socket.socket, near: socket.socket, place: list[int]) -> None:
        with suppress(OSError), far, near:
            while data := far.recv(65536):
                place.clear()
                near.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield wire
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
