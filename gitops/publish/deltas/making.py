"""One delta, made by a child that has the lowest priority, an end, and little to break.

In: two layers of the store. Out: `deltas/OLD/NEW.zst`, and its twice packed form where that is worth it; or why not.
Rules: it takes a name when it is whole and gives the new layer again, unpacked with as much memory as a box allows; a
child that takes more processor time, memory or time than it may is ended, and so it is when `stop` is set.

    Maker(store.layers, seconds=300).make(old, new, stop)  ->  420_113
"""

import filecmp
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import ProcessError, StoreError
from gitops.process import Background, start
from gitops.publish.transfers import pack_twice
from gitops.store.files.blobs import Layers, arriving

LEVEL, FAST = 19, 12
SLOW_MOST = 64 << 20
"""Bytes of a layer up to which the slow level is taken: it needs ten times as much memory, which grows with them."""
MEMORY = 4 << 30
"""Bytes of address space."""
RESERVE = 1 << 30
"""Bytes that stay free where layers are: what is published needs them more."""
NICE = 19
WALL = 20.0
"""So many times its processor time may pass: others go first."""
LOOK = 0.05
BOX_MEMORY = 128 << 20
"""As the agent allows (`unpack`), or twice the layers."""
TALK = 2000


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """`stop` was set."""


@dataclass(frozen=True)
class Maker:
    """Of one store. `seconds`: of processor time for one delta; `wall`: so many times that may pass; `nice`: as nice(1)
    has it."""

    layers: Layers
    seconds: int
    wall: float = WALL
    nice: int = NICE

    def make(self, old: str, new: str, stop: threading.Event) -> int:
        """Bytes of what a box would fetch; it stays only if the caller lets it.

        Raises:
            ProcessError: it cannot be made, or takes too much.
            StoreError: there is no room, or a layer is gone.
            Stopped: `stop` was set.
        """
        before, after, target = self.layers.path(old), self.layers.path(new), self.layers.delta(old, new)
        self._demand(before, after)
        with arriving(target) as part:
            proof = part.with_name(f"{part.name}.proof")
            try:
                self._run(stop, *pack(before, after), "-o", part)
                self._run(stop, *unpack(before, after), part, "-o", proof)
                if not filecmp.cmp(proof, after, shallow=False):
                    raise ProcessError("zstd made a delta that gives another layer")
            finally:
                proof.unlink(missing_ok=True)
        return pack_twice(target, self.layers.twice(old, new))

    def _demand(self, before: Path, after: Path) -> None:
        """Room for the proof, and no less than ever stays free afterwards. Raises StoreError."""
        try:
            size = before.stat().st_size + after.stat().st_size
            free = shutil.disk_usage(after.parent).free
        except OSError as error:
            raise StoreError(f"{error.filename}: {error.strerror}") from error
        if free < RESERVE + 2 * size:
            raise StoreError(f"{after.parent} has {free >> 20} MiB left: no delta is made")

    def _run(self, stop: threading.Event, *words: object) -> None:
        limits = ("nice", "-n", str(self.nice), "prlimit", f"--cpu={self.seconds}", f"--as={MEMORY}", "--core=0")
        log = Path(str(words[-1])).with_suffix(".said")
        try:
            with start([*limits, *(str(word) for word in words)], log_file=log) as child:
                self._wait(child, stop)
                if child.code:
                    said = log.read_bytes()[-TALK:].decode(errors="replace").strip()
                    raise ProcessError(f"zstd failed ({child.code}): {said}", hint="is it installed, with prlimit?")
        finally:
            log.unlink(missing_ok=True)

    def _wait(self, child: Background, stop: threading.Event) -> None:
        """Until it has ended, by itself or by us."""
        end = time.monotonic() + self.seconds * self.wall
        while child.running:
            if stop.wait(LOOK):
                child.kill()
                raise Stopped
            if time.monotonic() > end:
                child.kill()
                raise ProcessError(f"zstd took longer than {self.seconds * self.wall:.0f} s and was ended")


def pack(before: Path, after: Path) -> list[object]:
    """The command of a delta, without its target. (One thread: it packs better, and is easier to bound.)"""
    level = LEVEL if max(before.stat().st_size, after.stat().st_size) <= SLOW_MOST else FAST
    return ["zstd", "-q", "-f", f"-{level}", "--single-thread", f"--patch-from={before}", after]


def unpack(before: Path, after: Path) -> list[object]:
    """The command that a box has, without what it unpacks."""
    memory = max(BOX_MEMORY, 2 * before.stat().st_size, 2 * after.stat().st_size)
    return ["zstd", "-d", "-q", "-f", f"--memory={memory >> 20}MB", f"--patch-from={before}"]
