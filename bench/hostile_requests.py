"""What the update server is worth to honest boxes while somebody is hostile to it, as a ratio to the quiet before.

In: how many connections the hostile ones may hold. Out: for each attack, p50 and p99 of an honest poll (the timestamp,
a layer's size, one signed report) in milliseconds, the ratio of p99 to that of the quiet time measured right before it
in the same run, the honest requests that failed, and what the server's process has in memory (MiB). The hostile ones
are the last to get this machine's processors: theirs are elsewhere.

The server is a process of its own with a thousand boxes in its store; honest boxes and hostile ones are two more. The
bound is 2; exit code 1 says that it was passed. All share the processors: run it where nothing else runs. It ends by
itself: no attack begins after `--within` seconds, and each process has an end of its own.

    python bench/hostile_requests.py                     # by hand: seven minutes
    python bench/hostile_requests.py --connections 2000 --seconds 5 --only silent
"""

import argparse
import http.client
import multiprocessing
import os
import random
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.model import canonical
from gitops.server import Apart, create_app, serve, settled
from gitops.settings import Settings
from tests.kit.contracts import good
from tests.kit.published import kit

BOXES, LAYER, SIZE = 1000, "ab" * 32, 16 << 20
PACE = 200
"""Hostile requests, or new connections, a second."""
TURNS = 2
"""Quiet and hostile in turns: what else the machine does falls on both."""
SETTLES = 10.0
"""Seconds after all hostile connections were made: what is measured is how the server lives with them."""
LIFE, OUR_LIFE = 300.0, 3600.0
"""Seconds after which a hostile process, and the server's, end by themselves, whoever waits for them."""
POST = b"POST /api/v1/boxes/box-1/report HTTP/1.1\r\nHost: x\r\n"
GET = f"GET /layers/{LAYER} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def server(folder: Path, said: "multiprocessing.Queue[int]") -> None:
    made = kit(folder)
    made.publisher.publish([made.publication(f"box-{number}", 1) for number in range(20)])
    (folder / "large").write_bytes(bytes(SIZE))
    made.store.layers.add(folder / "large", LAYER)
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    for number in range(BOXES):
        made.store.boxes.enroll(f"box-{number}", key.public_key().public_bytes_raw().hex())
    settled()
    settings = Settings(state=made.store.paths.root)
    with Apart(settings) as render, serve(create_app(made.store, settings, render), "127.0.0.1:0") as url:
        said.put(int(url.rpartition(":")[2]))
        said.put(os.getpid())
        time.sleep(OUR_LIFE)


# --- an honest box ---


def polls(port: int, seconds: float, counters: list[int]) -> tuple[list[float], int]:
    """Milliseconds of each, and how many went wrong."""
    key, took, wrong, end = Ed25519PrivateKey.from_private_bytes(bytes(32)), [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        counters[0] += 1
        box = f"box-{counters[0] % BOXES}"
        text = canonical(good("report", "idle") | {"box": box, "counter": counters[0]})
        body = canonical({"report": text.decode(), "signature": key.sign(text).hex()})
        steps = [("GET", "/metadata/timestamp.json", None), ("HEAD", f"/layers/{LAYER}", None)]
        for method, path, data in [*steps, ("POST", f"/api/v1/boxes/{box}/report", body)]:
            wrong += not asked(port, method, path, data)
        took.append(1000 * (time.monotonic() - began))
        time.sleep(0.02)
    return took, wrong


def asked(port: int, method: str, path: str, body: bytes | None) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as one:
            one.request(method, path, body)
            return one.getresponse().status in (200, 204)
    except OSError:
        return False


# --- hostile ones: each gets the port, the number of connections, and says when it has them ---


def connection(port: int, said: bytes) -> socket.socket | None:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    with suppress(OSError):
        one.bind((f"127.0.{random.randrange(1, 5)}.{random.randrange(1, 200)}", 0))
        one.connect(("127.0.0.1", port))
        one.sendall(said)
        one.setblocking(False)
        return one
    one.close()
    return None


def holding(said: bytes, then: bytes = b"", reads: int = 0) -> Callable[[int, int, Event], None]:
    """So many connections that begin with `said`, and then say or read a little now and then; the lost come again."""

    def attack(port: int, number: int, ready: Event) -> None:
        os.nice(19)
        crowd = [one for _ in range(number) if (one := connection(port, said))]
        ready.set()
        end = time.monotonic() + LIFE
        while time.monotonic() < end:
            for _ in range(min(number - len(crowd), PACE // 2)):
                if one := connection(port, said):
                    crowd.append(one)
            for one in random.sample(crowd, min(PACE, len(crowd))):
                try:
                    if then:
                        one.send(then)
                    if (reads or not said) and not one.recv(reads or 1):
                        raise ConnectionError
                except BlockingIOError:
                    continue
                except OSError:
                    one.close()
                    crowd.remove(one)
            time.sleep(0.5)

    return attack


def asking(*requests: bytes, pace: int = PACE) -> Callable[[int, int, Event], None]:
    """One request after the other, so many a second."""

    def attack(port: int, _number: int, ready: Event) -> None:
        ready.set()
        end = time.monotonic() + LIFE
        while time.monotonic() < end:
            began = time.monotonic()
            with suppress(OSError):
                one = socket.create_connection(("127.0.0.1", port), 30)
                with closing(one):
                    one.sendall(random.choice(requests))
                    one.recv(1 << 16)
            time.sleep(max(1 / pace - (time.monotonic() - began), 0))

    return attack


def request(line: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


RANGES = ",".join(f"{2 * at}-{2 * at}" for at in range(1500))
FORGED = canonical({"report": "x" * 200_000, "signature": "0" * 128, "key": "0" * 64})
REPLAYED = canonical({"report": canonical(good("report", "idle")).decode(), "signature": "0" * 128})
ATTACKS: dict[str, Callable[[int, int, Event], None]] = {
    "silent connections": holding(b""),
    "heads byte by byte": holding(b"GET / HTTP/1.1\r\nX: ", b"x"),
    "bodies byte by byte": holding(POST + b"Content-Length: 200000\r\n\r\n", b"x"),
    "chunks without an end": holding(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "readers of layers that sip": holding(GET, reads=100),
    "many ranges": asking(request(f"HEAD /layers/{LAYER}", headers=f"Range: bytes={RANGES}\r\n")),
    "absurd names": asking(*(request(f"GET /{'../' * 2000}{number}") for number in range(9))),
    "forged reports of 200 KB": asking(request("POST /api/v1/boxes/box-1/report", FORGED), pace=20),
    "replayed reports": asking(request("POST /api/v1/boxes/box-1/report", REPLAYED), pace=50),
    "the page, API and metrics": asking(*map(request, ("GET /", "GET /api/v1/boxes", "GET /metrics"))),
}


def memory(process: int) -> float:
    rows = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("VmRSS:")).split()[1]) / 1024


def percentile(values: list[float], part: float) -> float:
    return statistics.quantiles(values, n=100)[round(part) - 1] if len(values) > 1 else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description="Hostile requests.")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="Of quiet, and of each attack.")
    parser.add_argument("--within", type=float, default=600.0, help="Seconds after which no attack begins.")
    parser.add_argument("--only", default="")
    said = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    worst, end = 0.0, time.monotonic() + said.within
    with tempfile.TemporaryDirectory(prefix="toweros-bench-") as place:
        told: multiprocessing.Queue[int] = multiprocessing.Queue()
        serving = multiprocessing.Process(target=server, args=(Path(place, "kit"), told))
        serving.start()
        port, process = told.get(), told.get()
        counters = [0]
        polls(port, 3, counters)
        print(f"{said.connections} connections; {BOXES} boxes; {memory(process):.0f} MiB before")
        print(f"{'attack':28} {'p50':>7} {'p99':>7} {'quiet p99':>9} {'ratio':>6} {'failed':>6} {'MiB':>5}")
        for name, attack in ATTACKS.items():
            if said.only not in name:
                continue
            if time.monotonic() > end:
                print(f"{name:28} left out: {said.within:.0f} s are over")
                continue
            quiet, took, wrong = list[float](), list[float](), 0
            for _ in range(TURNS):
                quiet += polls(port, said.seconds / TURNS, counters)[0]
                ready = multiprocessing.Event()
                hostile = multiprocessing.Process(target=attack, args=(port, said.connections, ready), daemon=True)
                hostile.start()
                ready.wait(LIFE)
                time.sleep(SETTLES)
                some, failed = polls(port, said.seconds / TURNS, counters)
                took, wrong, now = took + some, wrong + failed, memory(process)
                hostile.kill()
                hostile.join()
                time.sleep(1)
            ratio = percentile(took, 99) / percentile(quiet, 99)
            worst = max(worst, ratio)
            row = f"{name:28} {percentile(took, 50):7.1f} {percentile(took, 99):7.1f} {percentile(quiet, 99):9.1f}"
            print(f"{row} {ratio:6.2f} {wrong:6} {now:5.0f}", flush=True)
        serving.kill()
    return int(worst > 2)


if __name__ == "__main__":
    sys.exit(main())
