"""The deltas of a store: how many bytes each has, when a box fetched it last, and their end.

In: the folder of layers. Out: `Delta`s. Rules: what is fetched says so by its time of access, which the server sets
itself (file systems do that seldom, or never): the controller, which throws deltas away, is another process. A delta
goes with its twice packed form (docs/formats.md).

    for delta in deltas.each(): ...
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitops.store.files.blobs import HEX

PLAIN, TWICE = ".zst", ".zst.zst"
OFTEN = 60.0
"""Seconds between two marks of one file."""


@dataclass(frozen=True)
class Delta:
    """`size`: bytes of both forms; `used`: when it was made or fetched last (Unix seconds)."""

    old: str
    new: str
    size: int
    used: int


class Deltas:
    """Below the folder of layers: `deltas/OLD/NEW.zst`, and `NEW.zst.zst`."""

    def __init__(self, layers: Path) -> None:
        self._root = layers / "deltas"

    def each(self) -> Iterator[Delta]:
        """All that there are."""
        for folder in sorted(self._root.glob("[0-9a-f]*")):
            sizes, used = dict[str, int](), dict[str, int]()
            for name, known in _files(folder):
                root, _, form = name.partition(".")
                if HEX.fullmatch(root) and f".{form}" in (PLAIN, TWICE):
                    sizes[root] = sizes.get(root, 0) + known.st_size
                    used[root] = max(used.get(root, 0), int(known.st_atime), int(known.st_mtime))
            for root in sorted(sizes):
                yield Delta(folder.name, root, sizes[root], used[root])

    def remove(self, old: str, new: str) -> int:
        """Both forms, and the folder with the last. Returns the bytes that this made free."""
        gone = 0
        for form in (TWICE, PLAIN):
            path = self._root / old / f"{new}{form}"
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                gone += size
        with contextlib.suppress(OSError):
            (self._root / old).rmdir()
        return gone


def mark(path: Path) -> None:
    """A box fetches it now. Where this cannot be written down, it counts from when it was made."""
    with contextlib.suppress(OSError):
        known, now = path.stat(), time.time()
        if abs(now - known.st_atime) > OFTEN:
            os.utime(path, ns=(int(now * 1e9), known.st_mtime_ns))


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.stat(follow_symlinks=False)
