"""The folder of a copy: laid out as a controller's state folder, so that one server and one reader know them all.

In: a folder, how many bytes it may hold. Out: what is there, room for more. Rules: what is offered now stays; what is
offered no more goes after `KEEP`, or earlier, the oldest first, when room is needed; a disk is never filled to the end.

    repo/metadata/*.json   blobs/sha256/HEX   layers/ROOT  layers/ROOT.zst   repo/attestations/HEX.json
    tuf/         what is believed             incoming/NAME.part   reports/BOX/NUMBER.json   asked.json
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gitops.errors import StoreError
from gitops.model import Layer
from gitops.publish.folder import Folder
from gitops.store.files.attestations import Attestations
from gitops.store.files.blobs import Blobs, Layers
from gitops.store.files.layout import Layout

KEEP = 60 * 86400.0
"""Seconds that content stays that is offered to nobody any more: boxes may run it, and mend it."""
RESERVE = 64 << 20
"""Bytes of the disk that stay free: for metadata, reports, and whoever else lives there."""


@dataclass
class Copy:
    """What is kept below `root`, at most `most` bytes. `raw`: layers unpacked as well (a carried folder has them packed
    alone)."""

    root: Path
    most: int
    raw: bool = True
    paths: Layout = field(init=False)
    blobs: Blobs = field(init=False)
    layers: Layers = field(init=False)
    attestations: Attestations = field(init=False)
    metadata: Folder = field(init=False)

    def __post_init__(self) -> None:
        self.paths = Layout(self.root)
        self.blobs, self.layers = Blobs(self.paths.blobs), Layers(self.paths.layers)
        self.attestations = Attestations(self.paths.attestations)
        self.metadata = Folder(self.paths.metadata)
        self.tuf, self.incoming, self.reports = self.root / "tuf", self.root / "incoming", self.root / "reports"
        try:
            for folder in (self.paths.metadata, self.paths.blobs, self.paths.layers, self.tuf, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot use {self.root}: {error.strerror}", hint="name another folder") from error

    def part(self, name: str) -> Path:
        """Where a file is while it is not all here, or not proven."""
        return self.incoming / f"{name}.part"

    def has_layer(self, layer: Layer) -> bool:
        """Whether it can be handed out; files get these names when they are proven."""
        if not self.raw and self.layers.zst(layer.root).is_file():
            return True
        try:
            return self.layers.path(layer.root).stat().st_size == layer.size
        except OSError:
            return False

    def used(self) -> int:
        """Bytes of all files that are named by content, and of those that come."""
        return sum(size for files in (self._content(), self._deltas(), _files(self.incoming)) for _, _, size in files)

    def make_room(self, size: int, needed: set[str]) -> None:
        """Make room for `size` more bytes; what is `needed` (digests and roots) stays.

        Raises:
            StoreError: there is none.
        """
        lack = self.lack(size)
        # Deltas save a site's own line: they go before anything else.
        for path, _, bytes_ in (*self._deltas(), *sorted(self._content(), key=lambda row: row[1])):
            if lack <= 0:
                return
            if path.name.partition(".")[0] not in needed or path.parent.parent.name == "deltas":
                path.unlink(missing_ok=True)
                lack -= bytes_
        if (lack := self.lack(size)) > 0:
            raise StoreError(
                f"{self.root} has no room: {size} bytes are needed, {lack} more than there may be",
                hint=f"it may hold {self.most} bytes (--most), and leaves {RESERVE} of the disk free",
            )

    def sweep(self, needed: set[str]) -> None:
        """Remember what is needed now; remove what was not for long, and what nobody goes on with."""
        now = time.time()
        for path, modified, _ in self._content():
            if path.name.partition(".")[0] in needed:
                with contextlib.suppress(OSError):
                    os.utime(path)
            elif not -KEEP < now - modified < KEEP:
                path.unlink(missing_ok=True)
        for path, _, _ in (*self._deltas(), *_files(self.incoming)):
            if path.name.partition(".")[0] not in needed:
                path.unlink(missing_ok=True)
        self.metadata.prune(now)

    def drop(self, name: str) -> None:
        """Forget content that is damaged: it is brought again."""
        for path in (self.paths.blobs / name, self.paths.layers / name, self.paths.layers / f"{name}.zst"):
            path.unlink(missing_ok=True)

    def lack(self, size: int) -> int:
        """How many bytes must go before `size` more may come."""
        disk = os.statvfs(self.root)
        free = disk.f_bavail * disk.f_frsize - RESERVE
        return max(self.used() + size - self.most, size - free)

    def _deltas(self) -> Iterator[tuple[Path, float, int]]:
        for folder in (self.paths.layers / "deltas").glob("[0-9a-f]*"):
            yield from _files(folder)

    def _content(self) -> Iterator[tuple[Path, float, int]]:
        for folder in (self.paths.layers, self.paths.blobs, self.paths.attestations):
            yield from _files(folder)


def _files(folder: Path) -> Iterator[tuple[Path, float, int]]:
    """Path, time of the last change, bytes."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False):
                    known = entry.stat()
                    yield Path(entry.path), known.st_mtime, known.st_size
