"""What one commit for all boxes costs the publisher, as the fleet grows: each box has a repository of its own.

In: nothing; for each size a store with keys is made in a temporary folder, in which each box is offered a release. Out:
a table. `first` makes all repositories; `commit` offers every box another release, once it is known that it can be
offered; `quiet` looks when nothing is due; `metadata` is what one box fetches for the commit. Each size is measured in
a process of its own, so that its memory (at most) is its own. Boot files and layers are there already: they are the
same for all boxes, or made before.

    python bench/publishing/one_commit.py [--boxes 10 1000 10000 100000]
"""

import argparse
import logging
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import structlog

from gitops.model import BlobRef, Content, HealthSpec, Layer, Publication, Release, Revision, sha256
from gitops.publish import Publisher
from gitops.sign import Signer, keys
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked

SIZES = (10, 1000, 10_000)
BASE = Revision("main", "0" * 40, 1, 1_790_000_000, evidence=(BlobRef("ab" * 32, 700), BlobRef("cd" * 32, 900)))


class Bench:
    """A store with keys, and boxes that all use repositories of their own."""

    def __init__(self, folder: Path, boxes: int) -> None:
        keys.init(folder / "keys", b"for the measurement")
        self.store = Store.open(folder / "state")
        self.publisher = Publisher(self.store, Signer.open(folder / "keys", self.store))
        self.names = [f"box-{number:06}" for number in range(boxes)]
        self._layer = self._shared(b"base")
        self._boot = self._blob(b"a boot file")
        documents = [(BootChecked(True, own=True), name) for name in self.names]
        self.store.notes.put_together(*documents)

    def _blob(self, data: bytes) -> BlobRef:
        ref = BlobRef(sha256(data), len(data))
        path = self.store.blobs.path(ref.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return ref

    def _shared(self, data: bytes) -> Layer:
        ref = self.store.blobs.put(data.ljust(4096, b"\0"))
        path = self.store.layers.path(ref.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.ljust(4096, b"\0"))
        return Layer(ref.sha256, 4096)

    def offer(self, sequence: int) -> float:
        """Seconds until every box is offered the release of this sequence."""
        content = Content(
            BlobRef("ab" * 32, 1), BlobRef("ab" * 32, 1), f"n{sequence}", (self._layer,), (), HealthSpec()
        )
        revision, boot = replace(BASE, sequence=sequence), self._boot
        going = []
        for name in self.names:
            release = Release(name, sequence, content)
            going.append(Publication(release, revision, self._blob(release.encode()), boot, boot, boot))
        began = time.monotonic()
        assert not self.publisher.refused(going)
        self.publisher.publish(going, judged=True)
        took = time.monotonic() - began
        for each in going:
            self.store.offers.save_published(each, "made")
        return took

    def metadata(self) -> int:
        """Bytes that a box fetches: what its timestamp leads to, and that."""
        folder = self.store.paths.metadata / "boxes" / self.names[0]
        newest = [max(folder.glob(f"*.{role}.json"), key=lambda path: path.name) for role in ("targets", "snapshot")]
        return sum(path.stat().st_size for path in (*newest, folder / "timestamp.json"))


def measure(boxes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="toweros-bench-") as folder:
        bench = Bench(Path(folder), boxes)
        first, commit = bench.offer(1), bench.offer(2)
        began = time.monotonic()
        bench.publisher.refresh()
        quiet, processor = time.monotonic() - began, time.process_time()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        row = f"{boxes:8} {first:8.1f} {commit:8.1f} {quiet:8.2f} {processor:10.1f} {memory:6} {bench.metadata():9}"
        sys.stdout.write(row + "\n")


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--boxes", type=int, nargs="+", default=SIZES)
    words.add_argument("--one", type=int)
    asked = words.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if asked.one:
        return measure(asked.one)
    sys.stdout.write(
        f"{'boxes':>8} {'first s':>8} {'commit s':>8} {'quiet s':>8} {'cpu s':>10} {'MiB':>6} {'metadata':>9}\n"
    )
    for boxes in asked.boxes:
        sys.stdout.flush()
        subprocess.run([sys.executable, __file__, "--one", str(boxes)], check=True)


if __name__ == "__main__":
    main()
