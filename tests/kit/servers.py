"""Servers of plain files on loopback, good ones and those that misbehave in one way."""

import functools
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Plain(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()


class _Trickle(Plain):
    """One byte now and then, for ever."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass


class _Broken(Plain):
    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(500)


class _Circle(Plain):
    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", self.path)
        self.end_headers()


LASTS = 120
"""Bytes that a rude server sends before its next word, 0.05 s apart: so long that nobody waits, and not for ever."""


def _drip(handler: Plain, data: bytes, times: int = LASTS) -> None:
    try:
        for _ in range(times):
            handler.wfile.write(data)
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


class _Heads(Plain):
    """A header that comes a byte at a time."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        _drip(self, b"x")


class _Continues(Plain):
    """`100 Continue`, again and again."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        _drip(self, b"HTTP/1.1 100 Continue\r\n\r\n")


class _Chunks(Plain):
    """The size of a chunk comes a digit at a time."""

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        _drip(self, b"0")


class Detour(Plain):
    """Sends everybody to the same path below `/there`, with a body that does not end."""

    def do_GET(self) -> None:
        if self.path.startswith("/there/"):
            super().do_GET()
            return
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"/there{self.path}")
        self.end_headers()
        _drip(self, b"x" * 1000)


def to_file(path: Path) -> type[Plain]:
    """A server that sends everybody to a file of their own machine."""

    class Elsewhere(Plain):
        def do_GET(self) -> None:
            self.asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", path.as_uri())
            self.end_headers()

    return Elsewhere


BAD = {"slow": _Trickle, "broken": _Broken, "redirects in a circle": _Circle, "slow to begin": _Heads}
DRIPPING = {"body": _Trickle, "header": _Heads, "continue": _Continues, "chunk": _Chunks}
"""What never ends, and is never silent either."""


@contextmanager
def files(folder: Path, kind: type[Plain] = Plain) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server of a folder, and the paths that it was asked for."""
    asked: list[str] = []
    handler = functools.partial(type("Handler", (kind,), {"asked": asked}), directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
