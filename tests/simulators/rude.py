"""A server that takes every connection and then behaves as it likes, on a real socket.

with Rude(trickling) as server:
    Http(...).get(server.url + "/x", 100)
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

Manner = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


class Rude:
    """`manner` gets each connection after its request began; `asked` counts them."""

    def __init__(self, manner: Manner, address: str = "127.0.0.1", port: int = 0) -> None:
        self.manner, self.asked = manner, 0
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((address, port))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://{address}:{self.port}"

    def __enter__(self) -> "Rude":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def hang_up(self) -> None:
        """End what is open."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.asked += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(1 << 16)
            self.manner(connection)


def silent(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def _drop_by_drop(connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def trickled_headers(connection: socket.socket) -> None:
    _drop_by_drop(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 100)


def trickled_body(connection: socket.socket) -> None:
    connection.sendall(OK)
    _drop_by_drop(connection, bytes(1000))


def dropped_in_the_body(connection: socket.socket) -> None:
    connection.sendall(OK + bytes(500))


def promising_too_much(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + bytes(500))
    silent(connection)


def promising_too_little(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + bytes(5000))


def promising_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n" + bytes(500))


def always_going_on(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
        time.sleep(0.02)


def saying_nothing_that_is_http(connection: socket.socket) -> None:
    connection.sendall(b"\0" * 100_000)
