"""A server that takes every connection and then behaves as it likes, on a real socket.

with Rude(trickling) as server:
    Http(...).get(server.url + "/x", 100)
"""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

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

    def __enter__(self) -> Self:
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


class Turns(Rude):
    """Answers question after question over one connection, each by the next of `manners`, the last one for ever;
    `heard`: the questions of all connections; `left`: how many connections the other side has ended."""

    def __init__(self, *manners: Manner) -> None:
        super().__init__(manners[0])
        self.manners, self.heard, self.left = manners, list[bytes](), 0

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while data := _question(connection):
                self.heard.append(data)
                self.manners[min(len(self.heard), len(self.manners)) - 1](connection)
            self.left += 1


def _question(connection: socket.socket) -> bytes:
    """All of the next one, in however many pieces it comes; empty: there is none."""
    data = b""
    while more := connection.recv(1 << 16):
        data += more
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
        if end and len(body) >= (int(length[1]) if length else 0):
            return data
    return b""


def good(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def hanging_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


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
