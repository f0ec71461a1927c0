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


def to_file(path: Path) -> type[Plain]:
    """A server that sends everybody to a file of their own machine."""

    class Elsewhere(Plain):
        def do_GET(self) -> None:
            self.asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", path.as_uri())
            self.end_headers()

    return Elsewhere


BAD = {"slow": _Trickle, "broken": _Broken, "redirects in a circle": _Circle}


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
