"""What a fleet costs as it grows: queries, seconds and memory for 100, 1,000 and 10,000 boxes, SQLite and PostgreSQL.

In: nothing; for each size a fleet repo, a store, signed metadata and a report per box are made in a temporary folder.
Out: a table. Each row is measured in a process of its own, so that its memory (at most) is its own; `x` is the factor
of the seconds against the size before. PostgreSQL's own work is in the wall clock, not in the processor's seconds.

    state       how every box is, as the page says it
    page        GET / of the update server
    no_change   a pass when Git says nothing new
    one_waits   the same, while one box waits for its canary
    one_goes    the same, when one box is offered what waited: its bins are signed
    report      a signed report is checked and kept

    python bench/fleet.py [--boxes 100 1000 10000] [--postgresql URL]

URL is that of an empty database; `{boxes}` in it becomes the number.
"""

import argparse
import functools
import itertools
import json
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from plan import make
from sqlalchemy import event

from gitops import plan as planning
from gitops.controller import Controller
from gitops.fleet import load_fleet
from gitops.model import (
    BlobRef,
    Content,
    Health,
    HealthSpec,
    Image,
    Layer,
    Mounted,
    Phase,
    Publication,
    Release,
    Report,
    Revision,
    Target,
    canonical,
    sha256,
)
from gitops.publish.publisher import targets_of
from gitops.rollout.status import fleet_status
from gitops.server import create_app, serve
from gitops.server.boxes.reports import take
from gitops.settings import Settings
from gitops.sign import Signer, keys
from gitops.source import GitSource
from gitops.source.memory import StoredMemory
from gitops.store import Store

SIZES = (100, 1000, 10_000)
ROUNDS = 7
PACKAGES, LAYERS, CONTAINERS, CHECKS = 20, 40, 30, 10
ROLES = 10
"""As `plan.make` makes them: box N has role N % 10."""
EPOCH = 1000
"""Leaves sequences below that of the one commit, so that candidates may follow one another."""
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
HASTY = "PRAGMA synchronous=OFF"


class Site:
    """One fleet in one folder, and the database that it is in (a URL; empty: SQLite)."""

    def __init__(self, folder: Path, boxes: int, url: str) -> None:
        where = {"state": folder / "state", "keys": folder / "keys", "repository": str(folder / "fleet")}
        self.settings = Settings(**where, epoch=EPOCH)  # type: ignore[arg-type]
        self.store = Store.open(self.settings.state, url)
        self.engine = self.store._database.engine
        self.servers = ExitStack()
        self.names = [f"box-{number:04}" for number in range(boxes)]
        self.first, self.waiting = self.names[0], self.names[ROLES]
        """Two boxes of one role: the canary, and one that waits for it."""

    # --- what there is before anything is measured ------------------------------------------------------------------

    def fill(self) -> None:
        """A fleet whose boxes all run what they are offered, and say so."""
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", lambda connection, _: connection.execute(HASTY))
        repo = Path(self.settings.repository)
        repo.mkdir()
        make(repo, len(self.names), PACKAGES)
        keys.init(self.settings.keys, b"for the measurement")
        (self.settings.keys / "builder.pem").unlink()  # with one, what has no attestation is made again
        source = GitSource.of(self.settings, self.store.paths.source, StoredMemory(self.store))
        revision = source.poll()
        fleet = load_fleet(source.tree(revision), platform=self.settings.platform)
        source.mark_deployed(revision)
        for package in fleet.packages.values():
            self.store.builds.save_image(Image(package.tag, package.key, {}, (self.blob(package.key.encode()).sha256,)))
        targets: dict[str, Target] = {}
        for name, key in planning.box_keys(fleet).items():
            publication = self.publication(name, 1, revision)
            targets |= targets_of(publication)
            self.store.offers.save_published(publication, key)
            self.store.boxes.enroll(name, KEY.public_key().public_bytes_raw().hex())
            assert self.store.boxes.save_report(report(publication, 1))
        self.store.save_planned(revision, fleet)
        for file, data in Signer.open(self.settings.keys).metadata(lambda _: None, targets, int(time.time())):
            self.write(self.store.paths.metadata / file, data)

    def publication(self, box: str, sequence: int, revision: Revision) -> Publication:
        """Some forty layers; the last one is the box's own, and another one with each sequence."""
        own = self.layer(f"{box} {sequence}")
        content = replace(self.content, root=(*self.content.root, own))
        release = Release(box, sequence, content)
        blobs = [self.blob(data) for data in (release.encode(), b"uki", f"addon of {box} {sequence}".encode())]
        return Publication(release, replace(revision, sequence=sequence), *blobs)

    @functools.cached_property
    def content(self) -> Content:
        """What all boxes have in common."""
        shared, kernel = tuple(self.layer(f"layer {number}") for number in range(LAYERS)), self.blob(b"kernel")
        mounted = tuple(Mounted(f"services/{n:02}", "rootfs", shared[n : n + 2]) for n in range(CONTAINERS))
        return Content(kernel, kernel, "quiet", shared, mounted, HealthSpec())

    def layer(self, text: str) -> Layer:
        data = text.encode().ljust(4096, b"\0")
        layers, root = self.store.layers, sha256(data)  # of one block, the verity root
        for path in (layers.path(root), layers.zst(root)):
            self.write(path, data)
        return Layer(root, 4096)

    def blob(self, data: bytes) -> BlobRef:
        ref = BlobRef(sha256(data), len(data))
        self.write(self.store.blobs.path(ref.sha256), data)
        return ref

    def write(self, path: Path, data: bytes) -> None:
        """As the store does it, but without waiting for the disk."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    # --- what is measured: each gives what goes before a round, and the round ---------------------------------------

    def state(self) -> "Round":
        return nothing, lambda: fleet_status(self.store, int(time.time()))

    def page(self) -> "Round":
        url = self.servers.enter_context(serve(create_app(self.store, self.settings), "127.0.0.1:0"))
        return nothing, lambda: urlopen(url).read()

    def no_change(self) -> "Round":
        return nothing, Controller(self.settings, self.store).run_once

    def one_waits(self) -> "Round":
        self.canary(Health.PROGRESSING)
        self.candidate()
        controller = Controller(self.settings, self.store)

        def work() -> None:
            assert list(controller.run_once().held) == [self.waiting]

        return nothing, work

    def one_goes(self) -> "Round":
        self.canary(Health.HEALTHY)
        controller = Controller(self.settings, self.store)

        def work() -> None:
            assert controller.run_once().published == (self.waiting,)

        return self.candidate, work

    def report(self) -> "Round":
        bodies, publication = list[bytes](), self.store.offers.published(self.waiting)
        assert publication
        before = self.store.boxes.report(self.waiting)
        counters = itertools.count(before.counter + 1 if before else 1)

        def prepare() -> None:
            text = canonical(wire(report(publication, next(counters))))
            bodies.append(json.dumps({"report": text.decode(), "signature": KEY.sign(text).hex()}).encode())

        return prepare, lambda: take(self.store, self.waiting, bodies.pop())

    def canary(self, health: Health) -> None:
        publication, before = self.store.offers.published(self.first), self.store.boxes.report(self.first)
        assert publication and before
        assert self.store.boxes.save_report(report(publication, before.counter + 1, health))

    def candidate(self) -> None:
        """Another content for the second box, made from the same."""
        published = self.store.offers.published(self.waiting)
        key = next(made.key for made in self.store.offers.made() if made.box == self.waiting)
        assert published
        made = self.publication(self.waiting, published.release.sequence + 1, published.revision)
        self.store.offers.save_candidate(made, key)


Round = tuple[Callable[[], object], Callable[[], object]]
ROWS = (Site.state, Site.page, Site.no_change, Site.one_waits, Site.one_goes, Site.report)


def nothing() -> None:
    pass


def report(publication: Publication, counter: int, health: Health = Health.HEALTHY) -> Report:
    release = publication.release
    runs = (release.sequence, publication.document.sha256, release.content.digest)
    checks = tuple({"name": f"check {number}", "ok": True} for number in range(CHECKS))
    return Report(release.box, "boot", counter, 0, "1", *runs, Phase.IDLE, health, checks=checks)


def wire(said: Report) -> dict[str, object]:
    """The members that a box sends."""
    lists = {"failures": [], "degraded": [], "checks": list(said.checks)}
    return {"format": 1, **said.__dict__, **lists}


def measure(site: Site, row: str) -> dict[str, float]:
    """Queries per round, median seconds of a round by the wall and by the processor, MiB of this process at most."""
    queries, walls, processors = list[object](), list[float](), list[float]()
    prepare, work = getattr(site, row)()
    prepare()
    work()  # what is read once per process
    for _ in range(ROUNDS):
        prepare()
        count = lambda *words: queries.append(words[2])  # noqa: E731
        event.listen(site.engine, "before_cursor_execute", count)
        wall, processor = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
        event.remove(site.engine, "before_cursor_execute", count)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = len(queries) / ROUNDS, statistics.median(walls), statistics.median(processors), memory
    return dict(zip(("queries", "wall", "processor", "memory"), figures, strict=True))


def child(folder: Path, boxes: int, url: str, row: str) -> dict[str, float]:
    """Fill, or measure a row, in a process of its own."""
    command = [sys.executable, __file__, "--folder", folder, "--boxes", str(boxes), "--postgresql", url, "--row", row]
    output = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])  # before it, what a pass warns of
    return figures


def compare(sizes: list[int], url: str) -> None:
    """All rows of one database, size after size."""
    before: dict[str, float] = {}
    print(f"\n{'PostgreSQL' if url else 'SQLite':12}  boxes  queries   wall ms    cpu ms       x  memory MiB")
    for boxes in sizes:
        with tempfile.TemporaryDirectory() as folder:
            where = (Path(folder), boxes, url.replace("{boxes}", str(boxes)))
            child(*where, "fill")
            for row in (each.__name__ for each in ROWS):
                figures = child(*where, row)
                factor = f"{figures['wall'] / before[row]:7.1f}" if row in before else f"{'':7}"
                before[row] = figures["wall"]
                times = f"{figures['wall'] * 1000:9.1f} {figures['processor'] * 1000:9.1f}"
                print(
                    f"{row:12} {boxes:6} {figures['queries']:8.1f} {times} {factor} {figures['memory']:11.0f}",
                    flush=True,
                )


def main() -> None:
    """Measure on SQLite, then on PostgreSQL if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--postgresql", default="")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    words = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if words.row is None:
        for url in dict.fromkeys(("", words.postgresql)):
            compare(words.boxes, url)
        return
    site = Site(words.folder, words.boxes[0], words.postgresql)
    with site.servers:
        print(json.dumps(site.fill() if words.row == "fill" else measure(site, words.row)))


if __name__ == "__main__":
    main()
