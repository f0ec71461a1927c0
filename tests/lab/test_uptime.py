"""How long a page was away, by the clock of who asks."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from gitops.lab.hardware import free_port
from gitops.lab.uptime import GAP, Uptime


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def up(port: int, seconds: float) -> None:
    with HTTPServer(("127.0.0.1", port), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        time.sleep(seconds)
        server.shutdown()
        thread.join()


def test_silence_is_downtime_once_it_is_longer_than_the_gap() -> None:
    port, began = free_port(), time.monotonic()
    with Uptime(f"http://127.0.0.1:{port}/") as uptime:
        up(port, 1.5)
        answered = uptime.since(began)
        time.sleep(GAP + 1.5)
        up(port, 1.5)
        away = uptime.since(began)
    assert answered == 0.0, "an answer of any kind is an answer"
    assert GAP < away < GAP + 4
