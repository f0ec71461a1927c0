"""How long a web page was away: it is asked for twice a second."""

import http.client
import itertools
import threading
import time
import urllib.error
import urllib.request

GAP = 2.0
"""Seconds without an answer that count as downtime."""


class Uptime:
    """Asks one URL for as long as it is entered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answers: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Uptime":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            if _answers(self._url):
                self._answers.append(time.monotonic())

    def since(self, began: float) -> float:
        """Seconds without an answer since `began` (monotonic), the silence of this moment included."""
        known = [*self._answers, time.monotonic()]
        return sum(
            after - before for before, after in itertools.pairwise(known) if after > began and after - before > GAP
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback
            return bool(response.read(64))
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError, http.client.HTTPException):
        return False
