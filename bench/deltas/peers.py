"""Our deltas beside those of others, on layers that replaced one another.

In: two or more files, oldest first (layers out of a store, or images that mkfs.erofs made of packages' tars as layers
are made, gitops/assemble/layers.py). Out: bytes, seconds and MiB of memory of each way from the first to the last: the
whole copy, ours as it is made with a publication and while nobody waits, packed twice, a chain of ours through the
files between, and xdelta3 and casync where they are installed. Each result of ours is unpacked and compared.

    python bench/deltas/peers.py libc6-deb12u7.erofs libc6-deb12u14.erofs
"""

import filecmp
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gitops.publish.deltas.making import Maker
from gitops.publish.transfers import compress, make_delta
from gitops.store.files.blobs import Layers

NAMES = [f"{number:x}" * 64 for number in range(1, 16)]
WINDOW = str(512 << 20)


class Pair:
    """Layers in a store of their own, by the names of `NAMES`."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self.folder, self.layers, self.names = folder, Layers(folder / "layers"), NAMES[: len(files)]
        (folder / "layers").mkdir()
        for name, file in zip(self.names, files, strict=False):
            shutil.copyfile(file, self.layers.path(name))
        self.old, self.new = self.layers.path(self.names[0]), self.layers.path(self.names[-1])

    def whole(self) -> int:
        compress(self.layers, self.names[-1])
        return self.layers.zst(self.names[-1]).stat().st_size

    def at_once(self) -> int:
        make_delta(self.layers, self.names[0], self.names[-1])
        return self._plain()

    def waiting(self) -> int:
        Maker(self.layers, seconds=600).make(self.names[0], self.names[-1], threading.Event())
        return self._plain()

    def twice(self) -> int:
        path = self.layers.twice(self.names[0], self.names[-1])
        return path.stat().st_size if path.is_file() else 0

    def chain(self) -> int:
        sizes = [self._link(old, new) for old, new in zip(self.names, self.names[1:], strict=False)]
        return sum(sizes) if len(sizes) > 1 else 0

    def _link(self, old: str, new: str) -> int:
        self.layers.delta(old, new).unlink(missing_ok=True)
        return Maker(self.layers, seconds=600).make(old, new, threading.Event())

    def _plain(self) -> int:
        """Its size, once it was proven; it goes, so that the next way begins anew."""
        path, out = self.layers.delta(self.names[0], self.names[-1]), self.folder / "out"
        said(["zstd", "-dqf", "--memory=2048MB", f"--patch-from={self.old}", path, "-o", out])
        assert filecmp.cmp(out, self.new, shallow=False)
        size = path.stat().st_size
        path.unlink()
        return size

    def xdelta3(self) -> int:
        out = self.folder / "out.xd"
        said(["xdelta3", "-f", "-e", "-9", "-S", "none", "-B", WINDOW, "-s", self.old, self.new, out])
        said(["zstd", "-19", "-qf", out, "-o", f"{out}.zst"])
        return Path(f"{out}.zst").stat().st_size

    def casync(self) -> int:
        """Chunks that the old one has not."""
        size = 0
        for name, file in (("old", self.old), ("new", self.new)):
            said(["casync", "make", f"--store={self.folder}/{name}.castr", self.folder / f"{name}.caibx", file])
        for chunk in self.folder.glob("new.castr/*/*.cacnk"):
            there = self.folder / "old.castr" / chunk.parent.name / chunk.name
            size += 0 if there.exists() else chunk.stat().st_size
        return size


def said(command: list[object]) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measured(way: Callable[[], int]) -> str:
    begun = time.perf_counter()
    size = way()
    took, memory = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    return f"{size:10} B {took:7.2f} s {memory:6} MiB at most so far"


def main() -> None:
    """One line for each way."""
    files = [Path(word) for word in sys.argv[1:]]
    if not 2 <= len(files) <= len(NAMES):
        raise SystemExit("usage: peers.py OLD [BETWEEN...] NEW")
    print(" -> ".join(file.name for file in files), f"({files[-1].stat().st_size} B)")
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(Path(folder), files)
        ways = [("whole", pair.whole), ("ours, at once", pair.at_once), ("ours, waiting", pair.waiting),
                ("packed twice", pair.twice), ("a chain", pair.chain)]  # fmt: skip
        ways += [
            (name, way) for name, way in (("xdelta3", pair.xdelta3), ("casync", pair.casync)) if shutil.which(name)
        ]
        for name, way in ways:
            print(f"{name:14} {measured(way)}", flush=True)


if __name__ == "__main__":
    main()
