"""exFAT, as sticks of 64 GB and more come from the shop (Microsoft's exFAT specification 1.00).

Rules: as of FAT; a file that has no chain lies in one piece.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .disk import Disk, MediumError
from .fat import Table, entries
from .files import MAX_FOLDER, Content, Run, content, missing

FILE, STREAM, NAME, END = 0x85, 0xC0, 0xC1, 0x00
FOLDER, IN_ONE_PIECE = 0x10, 0x02


@dataclass(frozen=True)
class Known:
    """A file or folder: where it begins, and how much of it was ever written."""

    folder: bool
    apart: bool
    first: int
    size: int
    written: int


class ExFat:
    """One volume; `root` is the first cluster of its root folder."""

    def __init__(self, disk: Disk, table: Table, root: int) -> None:
        self.disk, self._table, self._root, self.kind = disk, table, root, "exfat"

    @classmethod
    def open(cls, disk: Disk) -> "ExFat | None":
        head = disk.at(0, 512)
        if head[3:11] != b"EXFAT   ":
            return None
        table, _, heap, count, root = struct.unpack("<IIIII", head[80:100])
        sector, per = head[108], head[109]
        if not 9 <= sector <= 12 or per > 25 - sector:
            raise MediumError(f"exFAT with sectors of 2^{sector} bytes, and clusters of 2^{per} sectors")
        return cls(disk, Table(disk, table << sector, 32, heap << sector, 1 << sector + per, count), root)

    def find(self, path: str) -> Content:
        *folders, last = path.split("/")
        listed = self._table.folder(self._root)
        for name in folders:
            known = _named(listed, name, path)
            if not known.folder:
                raise missing(path)
            listed = self._listed(known)
        known = _named(listed, last, path)
        if known.folder:
            raise missing(path)
        if known.written != known.size:
            raise MediumError(f"{path}: {known.written} of {known.size} bytes were written")
        return content(known.size, self._runs(known))

    def _runs(self, known: Known) -> Iterator[Run]:
        if known.apart:
            return self._table.runs(known.first)
        return iter((Run(self._table.place(known.first), known.size),) if known.size else ())

    def _listed(self, known: Known) -> Iterator[bytes]:
        if known.size > MAX_FOLDER:
            raise MediumError(f"a folder of more than {MAX_FOLDER} bytes")
        for run in content(known.size, self._runs(known)).runs:
            assert run.offset is not None
            yield from entries(self.disk.at(run.offset, run.length))


def _named(listed: Iterator[bytes], name: str, path: str) -> Known:
    folder, stream, found = False, b"", ""
    for entry in listed:
        if entry[0] == END:
            break
        if entry[0] == FILE:
            folder, stream, found = bool(entry[4] & FOLDER), b"", ""
        elif entry[0] == STREAM:
            stream = entry
        elif entry[0] == NAME and stream:
            found += entry[2:32].decode("utf-16-le", "replace")
            if len(found) >= stream[3] and found[: stream[3]].upper() == name.upper():
                written, first, size = struct.unpack("<Q4xIQ", stream[8:32])
                return Known(folder, not stream[1] & IN_ONE_PIECE, first, size, written)
    raise missing(path)
