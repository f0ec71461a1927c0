"""A bundle on a stick, a disc, or in a file that holds one: found by itself, read, and one file of it written over.

In: a path. Out: the bundle's files. Rules: no file system is mounted, so none of the kernel's code for them meets
what a stranger made; the first volume that has `toweros-bundle.json`, in its root or in one of `FOLDERS`, is the
bundle. What is written has its place already: nothing of the file system changes, so a stick that is pulled out loses
a report, and no file.

    with Medium.open(Path("/dev/sdb")) as medium:
        medium.read("repo/metadata/timestamp.json", 16 << 10)
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from . import NAME
from .disk import Disk, MediumError, volumes
from .exfat import ExFat
from .ext4 import Ext4
from .fat import Fat
from .files import Volume
from .iso import Iso

FOLDERS = ("", "toweros/", "bundle/", "toweros-bundle/")
KINDS = (Iso, ExFat, Ext4, Fat)
PIECE = 64 << 10


class Medium:
    """An open one. `kind` is its file system; `folder` is where the bundle lies in it."""

    def __init__(self, volume: Volume, folder: str) -> None:
        self._volume, self.folder, self.kind = volume, folder, volume.kind

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> "Medium":
        """Raises MediumError: there is no bundle on it (`missing`), or what there is cannot be read. OSError."""
        flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        if write and path.is_block_device():
            flags |= os.O_EXCL  # a device that is mounted, or a part of which is, answers EBUSY (open(2))
        handle = os.open(path, flags)
        try:
            os.set_blocking(handle, True)
            return cls._on(Disk.of(handle))
        except BaseException:
            os.close(handle)
            raise

    @classmethod
    def _on(cls, disk: Disk) -> "Medium":
        why = "there is no file system that is read here (FAT, exFAT, ext4, ISO 9660)"
        bad = ""
        for part in volumes(disk):
            for kind in KINDS:
                try:
                    if part.size >= 512 and (volume := kind.open(part)):
                        why = f"there is no {NAME}, neither in its root nor in {', '.join(FOLDERS[1:])}"
                        return cls(volume, _bundle(volume))
                except MediumError as error:
                    bad = bad if error.missing else bad or f"{kind.__name__}: {error}"
        raise MediumError(bad or why, missing=not bad)

    def size(self, path: str) -> int | None:
        """None: it is not there."""
        try:
            return self._volume.find(self.folder + path).size
        except MediumError as error:
            if error.missing:
                return None
            raise

    def read(self, path: str, most: int) -> bytes:
        """All of a file. Raises MediumError, also for more than `most` bytes."""
        size, pieces = self.pieces(path)
        if size > most:
            raise MediumError(f"{path}: more than {most} bytes")
        return b"".join(pieces)

    def pieces(self, path: str) -> tuple[int, Iterator[bytes]]:
        """Its size, and what it holds."""
        content, disk = self._volume.find(self.folder + path), self._volume.disk

        def each() -> Iterator[bytes]:
            for run in content.runs:
                for at in range(0, run.length, PIECE):
                    length = min(PIECE, run.length - at)
                    yield bytes(length) if run.offset is None else disk.at(run.offset + at, length)

        return content.size, each()

    def write(self, path: str, data: bytes) -> None:
        """`data` over the beginning of a file that is there, and spaces up to its end.

        Raises:
            MediumError: it is not there, too small, or has no place of its own. OSError: it cannot be written.
        """
        content, disk = self._volume.find(self.folder + path), self._volume.disk
        if isinstance(self._volume, Ext4) and self._volume.unclean:
            raise MediumError("it was pulled out while something wrote it: `fsck` it first")
        if len(data) > content.size:
            raise MediumError(f"{path} has room for {content.size} bytes, and {len(data)} are needed")
        if any(run.offset is None or not 0 <= run.offset + run.length <= disk.size for run in content.runs):
            raise MediumError(f"{path} has no place of its own")
        whole, at = data.ljust(content.size), 0
        for run in content.runs:
            os.pwrite(disk.handle, whole[at : at + run.length], disk.start + (run.offset or 0))
            at += run.length
        os.fsync(disk.handle)

    def close(self) -> None:
        os.close(self._volume.disk.handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bundle(volume: Volume) -> str:
    for folder in FOLDERS:
        try:
            volume.find(folder + NAME)
            return folder
        except MediumError as error:
            if not error.missing:
                raise
    raise MediumError(f"there is no {NAME}", missing=True)
