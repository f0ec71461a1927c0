"""A fleet at rest, and a fleet that wakes up all at once, before the update server as `toweros run` begins it.

In: boxes, seconds between two polls of each, how long. Out, of each part: polls a second, p50 and p99 of a conditional
GET and of a small report (milliseconds, from when it was due), what failed, and how much of a core the server took for
each. A poll is a connection with `304`, and, every ten minutes, with a small report after it, as an agent makes them.
`--build`: both processors work at something else meanwhile. `--wake`: every box polls as soon as it can, `--crowd` of
them at a time; one that is refused comes again after a second.

    nice -n 5 python bench/serving/fleet.py --boxes 100000 --poll 300 --seconds 30 --build
    nice -n 5 python bench/serving/fleet.py --boxes 20000 --wake
"""

import argparse
import asyncio
import contextlib
import http.client
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from load import conditional, percentile, processor

from gitops.lab.hardware import free_port
from gitops.model import canonical, sha256
from gitops.server.beside import Beside
from gitops.settings import Settings
from tests.kit.contracts import good
from tests.kit.published import Kit, kit

STAMP = "/metadata/timestamp.json"
KNOWN = 1000
"""Boxes that the store knows; they poll by turns as if they were more. More than there are at a time: of two reports of
one box the older may come last, which is refused for good."""
PATIENCE, AGAIN = 20.0, 1.0
EVERY = 600.0
"""Seconds between two reports of a box at rest; one that wakes up reports at once."""
BURN = "import hashlib\nwhile True: hashlib.sha256(bytes(1 << 20)).digest()"


@dataclass
class Boxes:
    """What they say: a report whole once, and from then on what changed."""

    key: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(bytes(32)))
    counters: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))

    def report(self, box: str, counter: int) -> bytes:
        said = good("report", "idle") | {"box": box, "counter": counter, "facts": {"poll": 300, "every": 600}}
        return canonical(said)

    def whole(self, box: str) -> bytes:
        text = self.report(box, 1)
        return canonical({"report": text.decode(), "signature": self.key.sign(text).hex()})

    def small(self, box: str) -> bytes:
        base, counter = sha256(self.report(box, 1))[:32], next(self.counters)
        signature = self.key.sign(self.report(box, counter)).hex()
        return canonical({"base": base, "patch": {"counter": counter}, "signature": signature})


@dataclass
class Took:
    """Seconds of each, and what became of the rest."""

    polls: list[float] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)
    failed: int = 0

    def line(self, name: str, seconds: float, core: float) -> str:
        count = len(self.polls) or 1
        return (
            f"{name:10} {count / seconds:7.0f} polls/s  304: p50 {percentile(self.polls, 0.5):7.1f} "
            f"p99 {percentile(self.polls, 0.99):7.1f} ms  report: p50 {percentile(self.reports, 0.5):7.1f} "
            f"p99 {percentile(self.reports, 0.99):7.1f} ms  failed {self.failed}  {1000 * core / count:5.2f} ms of a "
            f"core each, {core / seconds:4.0%} of one"
        )


def prepared(folder: Path) -> Kit:
    made, boxes = kit(folder), Boxes()
    made.publisher.publish([made.publication("box-0", 1)])
    public = boxes.key.public_key().public_bytes_raw().hex()
    for number in range(KNOWN):
        made.store.boxes.enroll(f"box-{number}", public)
    return made


def asked(port: int, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as one:
        one.request("POST" if body else "GET", path, body)
        answer = one.getresponse()
        answer.read()
        return answer


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def once(line: Line, request: bytes, due: float, status: bytes) -> float:
    """Seconds from when it was due. Raises OSError for anything but this status."""
    line[1].write(request)
    head = await asyncio.wait_for(line[0].readuntil(b"\r\n\r\n"), PATIENCE)
    if status not in head[:16]:
        raise OSError(head[:60])
    return time.monotonic() - due


async def poll(port: int, get: bytes, post: bytes, due: float, took: Took) -> bool:
    """`post`: nothing where no report is due."""
    try:
        line = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        took.failed += 1
        return False
    try:
        took.polls.append(await once(line, get, due, b" 304 "))
        if post:
            took.reports.append(await once(line, post, time.monotonic(), b" 204 "))
        return True
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        took.failed += 1
        return False
    finally:
        line[1].transport.abort()


def posts(boxes: Boxes, count: int, each: int = 1) -> "deque[bytes]":
    """One of `each` polls has a report. Signed before the clock runs: theirs are other processors."""
    made = deque[bytes]()
    for number in range(count):
        if number % each:
            made.append(b"")
            continue
        box = f"box-{number % KNOWN}"
        body = boxes.small(box)
        head = f"POST /api/v1/boxes/{box}/report HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        made.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


async def at_rest(port: int, get: bytes, said: "deque[bytes]", rate: float) -> Took:
    took, began, tasks = Took(), time.monotonic(), []
    for number in itertools.count():
        if not said:
            break
        due = began + number / rate
        await asyncio.sleep(max(due - time.monotonic(), 0))
        tasks.append(asyncio.create_task(poll(port, get, said.popleft(), due, took)))
    await asyncio.gather(*tasks)
    return took


async def awake(port: int, get: bytes, said: "deque[bytes]", crowd: int) -> Took:
    took = Took()

    async def one() -> None:
        while said:
            post = said.popleft()
            while not await poll(port, get, post, time.monotonic(), took):
                await asyncio.sleep(AGAIN)

    await asyncio.gather(*(one() for _ in range(crowd)))
    return took


@contextlib.contextmanager
def building(really: bool) -> Iterator[None]:
    count = (os.cpu_count() or 1) * really
    running = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(count)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=100_000)
    parser.add_argument("--poll", type=float, default=300.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--build", action="store_true")
    parser.add_argument("--wake", action="store_true")
    parser.add_argument("--crowd", type=int, default=500)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, boxes = prepared(Path(folder) / "fleet"), Boxes()
        settings = Settings(state=made.store.paths.root, listen=f"127.0.0.1:{free_port()}")
        server = Beside(settings)
        with server as urls, building(words.build):
            measure(int(urls.boxes.rpartition(":")[2]), server.process, boxes, words)


def measure(port: int, process: int, boxes: Boxes, words: argparse.Namespace) -> None:
    get = conditional(STAMP, asked(port, STAMP).headers["etag"])
    for number in range(KNOWN):
        if asked(port, f"/api/v1/boxes/box-{number}/report", boxes.whole(f"box-{number}")).status != 204:
            raise SystemExit("a report is not taken")
    rate = words.boxes / words.poll
    each = 1 if words.wake else max(round(EVERY / words.poll), 1)
    said = posts(boxes, words.boxes if words.wake else int(rate * words.seconds), each)
    work = awake(port, get, said, words.crowd) if words.wake else at_rest(port, get, said, rate)
    before, began = processor(process), time.monotonic()
    took = uvloop.run(work)
    seconds = time.monotonic() - began
    print(took.line("awake" if words.wake else "at rest", seconds, processor(process) - before))


if __name__ == "__main__":
    main()
