"""How large and how quick the first page is, in fleets of one, a thousand and ten thousand boxes.

In: sizes of fleets. Out: a line for each: bytes on the wire (plain, gzip), and the page's time as a multiple of that of
/healthz on the same connection, first and afterwards; then the same while one address asks other questions without end.

    python bench/pages/first_page.py [--boxes 1 1000 10000]
"""

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from gitops.server import Apart, create_app, serve
from gitops.settings import Settings
from gitops.store import Store
from tests.kit.crowds import Crowd, fill

FLEETS = (1, 1000, 10_000)
TIMES = 5
PAUSE = 0.5
"""Seconds between two looks of a person: the server rests after each page for three times as long as it took."""
FLOOD = 4


def asked(place: str, path: str, gzip: bool = False, source: str = "127.0.0.1") -> tuple[float, int]:
    """Seconds, and bytes of the body."""
    one = http.client.HTTPConnection(place, timeout=60, source_address=(source, 0))
    one.connect()
    begun = time.perf_counter()
    one.request("GET", path, headers={"accept-encoding": "gzip" if gzip else "identity"})
    length = len(one.getresponse().read())
    took = time.perf_counter() - begun
    one.close()
    return took, length


def flood(place: str, stop: threading.Event, number: int) -> None:
    """Other questions without end, of one address."""
    turn = number
    while not stop.is_set():
        asked(place, f"/?q=nobody-{turn}", source="127.0.0.9")
        turn += FLOOD


def looks(place: str, path: str = "/") -> list[float]:
    """Of somebody who looks now and then."""
    found = []
    for _ in range(TIMES):
        time.sleep(PAUSE)
        found.append(asked(place, path, gzip=True)[0])
    return found


def measured(boxes: int) -> None:
    """One line."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder) / "state")
        store = Store.of(settings, migrate=True)
        fill(store, Crowd(boxes, sites=max(boxes // 20, 1)), int(time.time()))
        with Apart(settings) as render, serve(create_app(store, settings, render), "127.0.0.1:0") as url:
            place = url.removeprefix("http://")
            asked(place, "/metrics")  # the process that makes them is there
            still = statistics.median(looks(place, "/healthz"))
            cold, plain = asked(place, "/")
            _, packed = asked(place, "/", gzip=True)
            warm = looks(place)
            stop = threading.Event()
            crowd = [threading.Thread(target=flood, args=(place, stop, number)) for number in range(FLOOD)]
            for each in crowd:
                each.start()
            pressed = looks(place)
            stop.set()
            for each in crowd:
                each.join()
        found = (cold, statistics.median(warm), max(warm), statistics.median(pressed))
        first, median, worst, beside = (f"{seconds * 1000:.0f} ms ({seconds / still:.0f}x)" for seconds in found)
        print(
            f"{boxes:6} boxes: {plain} B, {packed} B gzip; first {first}, then median {median}, worst {worst}; "
            f"beside a flood {beside}"
        )


def main() -> None:
    """All fleets; /healthz is 1x."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--boxes", type=int, nargs="+", default=FLEETS)
    for boxes in words.parse_args().boxes:
        measured(boxes)


if __name__ == "__main__":
    main()
