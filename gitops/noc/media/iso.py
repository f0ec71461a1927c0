"""ISO 9660 with Rock Ridge names, as `toweros bundle make --to X.iso` writes it (ECMA-119; IEEE P1282).

Rules: a name is Rock Ridge's where there is one, else the plain one without its version; a file of several extents is
one file.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .disk import Disk, MediumError
from .files import MAX_FOLDER, Content, Run, content, missing

BLOCK, FIRST = 2048, 16
FOLDER, GOES_ON = 0x02, 0x80


@dataclass(frozen=True)
class Record:
    """One record of a folder."""

    name: str
    offset: int
    size: int
    flags: int


class Iso:
    """One volume; `root` is the record of its root folder."""

    def __init__(self, disk: Disk, root: Record) -> None:
        self.disk, self._root, self.kind = disk, root, "iso9660"

    @classmethod
    def open(cls, disk: Disk) -> "Iso | None":
        if disk.size < (FIRST + 1) * BLOCK:
            return None
        head = disk.at(FIRST * BLOCK, BLOCK)
        if head[:6] != b"\1CD001":
            return None
        if struct.unpack("<H", head[128:130]) != (BLOCK,):
            raise MediumError("an ISO with other blocks than of 2048 bytes")
        return cls(disk, _plain(head[156:190]))

    def find(self, path: str) -> Content:
        *folders, last = path.split("/")
        place = self._root
        for name in folders:
            place = next(self._named(place, name, path))
            if not place.flags & FOLDER:
                raise missing(path)
        runs = []
        for record in self._named(place, last, path):
            if record.flags & FOLDER:
                raise missing(path)
            runs.append(Run(record.offset, record.size))
        return content(sum(run.length for run in runs), runs)

    def _named(self, folder: Record, name: str, path: str) -> Iterator[Record]:
        """The record of a name, and those that go on with it."""
        found = False
        for record in self._records(folder):
            if record.name == name or (found and record.name == ""):
                found = True
                yield record
                if not record.flags & GOES_ON:
                    return
        if not found:
            raise missing(path)

    def _records(self, folder: Record) -> Iterator[Record]:
        if folder.size > MAX_FOLDER:
            raise MediumError(f"a folder of more than {MAX_FOLDER} bytes")
        for start in range(0, folder.size, BLOCK):
            data, at = self.disk.at(folder.offset + start, min(BLOCK, folder.size - start)), 0
            while at + 34 <= len(data) and data[at]:  # no record crosses the end of a block
                row = data[at : at + data[at]]
                at += data[at]
                yield self._record(row)

    def _record(self, row: bytes) -> Record:
        plain = _plain(row)
        area = 33 + row[32] + (1 - row[32] % 2)
        name = b"".join(self._rock_ridge(row[area:]))
        return Record(name.decode("utf-8", "replace"), plain.offset, plain.size, plain.flags) if name else plain

    def _rock_ridge(self, area: bytes, deep: int = 0) -> Iterator[bytes]:
        """The pieces of a long name; what has no room in the record goes on elsewhere, a few times at most."""
        at = 0
        goes_on = None
        while at + 4 <= len(area) and area[at + 2] >= 4:
            word, field = area[at : at + 2], area[at : at + area[at + 2]]
            at += area[at + 2]
            if word == b"NM" and len(field) > 5 and not field[4] & 0x06:
                yield field[5:]
            elif word == b"CE" and len(field) >= 28:
                goes_on = struct.unpack("<I4xI4xI", field[4:24])
        if goes_on and deep < 4 and goes_on[2] <= BLOCK:
            yield from self._rock_ridge(self.disk.at(goes_on[0] * BLOCK + goes_on[1], goes_on[2]), deep + 1)


def _plain(row: bytes) -> Record:
    if len(row) < 34 or len(row) < 33 + row[32]:
        raise MediumError("a record of a folder is cut")
    block, size = struct.unpack("<I4xI", row[2:14])
    name = row[33 : 33 + row[32]].decode("ascii", "replace")
    return Record(name.partition(";")[0].rstrip("."), block * BLOCK, size, row[25])
