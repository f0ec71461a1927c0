"""ext4, as its makers' tools leave it (the kernel's Documentation/filesystems/ext4).

Rules: what this reader does not know is refused by its name, never guessed: files by blocks (ext2, ext3) and files in
their inode. Folders are read through, their hash trees left alone: those look like free entries, as they are made to.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .disk import Disk, MediumError
from .files import MAX_FOLDER, MAX_RUNS, Content, Run, content, missing

SUPER, MAGIC, ROOT = 1024, 0xEF53, 2
WIDE, UNCLEAN = 0x80, 0x04
UNDERSTOOD = 0x02 | UNCLEAN | 0x40 | WIDE | 0x200 | 0x2000 | 0x4000 | 0x8000
"""INCOMPAT: file types, a journal to be played, extents, 64bit, flex_bg, csum_seed, large_dir, inline_data."""
EXTENTS, TREE, DEPTH = 0x80000, 0xF30A, 5
UNWRITTEN = 32768
KIND, FOLDER, FILE = 0xF000, 0x4000, 0x8000


@dataclass(frozen=True)
class Inode:
    """What of an inode counts here."""

    mode: int
    size: int
    flags: int
    block: bytes


class Ext4:
    """One volume."""

    def __init__(self, disk: Disk, head: bytes) -> None:
        self.disk, self.kind = disk, "ext4"
        self._block = 1024 << min(struct.unpack("<I", head[24:28])[0], 7)
        self._per_group = struct.unpack("<I", head[40:44])[0]
        self._inode = struct.unpack("<H", head[88:90])[0] or 128
        known = struct.unpack("<I", head[96:100])[0]
        if known & ~UNDERSTOOD or not self._per_group or not 128 <= self._inode <= self._block:
            raise MediumError(f"an ext4 with what is not read here (features {known & ~UNDERSTOOD:#x})")
        self.unclean = bool(known & UNCLEAN)
        self._group = struct.unpack("<H", head[254:256])[0] if known & WIDE else 32
        if not 32 <= self._group <= 1024:
            raise MediumError(f"an ext4 with group descriptors of {self._group} bytes")
        self._groups = (struct.unpack("<I", head[20:24])[0] + 1) * self._block

    @classmethod
    def open(cls, disk: Disk) -> "Ext4 | None":
        if disk.size < 2 * SUPER:
            return None
        head = disk.at(SUPER, SUPER)
        return cls(disk, head) if struct.unpack("<H", head[56:58]) == (MAGIC,) else None

    def find(self, path: str) -> Content:
        *folders, last = path.split("/")
        place = self._read(ROOT)
        for name in (*folders, last):
            if place.mode & KIND != FOLDER:
                raise missing(path)
            place = self._read(self._named(place, name.encode(), path))
        if place.mode & KIND != FILE:  # a link is none
            raise missing(path)
        return content(place.size, self._runs(place))

    def _read(self, number: int) -> Inode:
        group, index = divmod(number - 1, self._per_group)
        row = self.disk.at(self._groups + group * self._group, self._group)
        table = struct.unpack("<I", row[8:12])[0] | (struct.unpack("<I", row[40:44])[0] << 32 if len(row) >= 64 else 0)
        data = self.disk.at(table * self._block + index * self._inode, 128)
        low, flags, high = (struct.unpack("<I", data[at : at + 4])[0] for at in (4, 32, 108))
        mode = struct.unpack("<H", data[:2])[0]
        return Inode(mode, low | high << 32, flags, data[40:100])

    def _named(self, folder: Inode, name: bytes, path: str) -> int:
        if folder.size > MAX_FOLDER:
            raise MediumError(f"a folder of more than {MAX_FOLDER} bytes")
        for run in content(folder.size, self._runs(folder)).runs:
            data = self.disk.at(run.offset, run.length) if run.offset is not None else b""
            for start in range(0, len(data), self._block):
                for number, found in _entries(data[start : start + self._block]):
                    if number and found == name:
                        return number
        raise missing(path)

    def _runs(self, inode: Inode) -> Iterator[Run]:
        """In order, with the holes between them."""
        if not inode.flags & EXTENTS:
            raise MediumError("a file that is not in extents (ext2 or ext3, or in its inode): format it as ext4 or FAT")
        at = pieces = 0
        for first, start, count in self._leaves(inode.block, DEPTH + 1):
            if first < at or (pieces := pieces + 1) > MAX_RUNS:
                raise MediumError("a file whose pieces are in no order")
            if first > at:
                yield Run(None, (first - at) * self._block)
            written = count <= UNWRITTEN
            length = count if written else count - UNWRITTEN
            yield Run(start * self._block if written else None, length * self._block)
            at = first + length
        if at * self._block < inode.size:
            yield Run(None, inode.size - at * self._block)

    def _leaves(self, node: bytes, above: int) -> Iterator[tuple[int, int, int]]:
        magic, count, _, depth = struct.unpack("<HHHH", node[:8])
        if magic != TREE or depth >= above or 12 * (count + 1) > len(node):
            raise MediumError("the pieces of a file are damaged")
        for at in range(12, 12 * (count + 1), 12):
            if depth:
                low, high = struct.unpack("<IH", node[at + 4 : at + 10])
                yield from self._leaves(self.disk.at((low | high << 32) * self._block, self._block), depth)
            else:
                first, length, high, low = struct.unpack("<IHHI", node[at : at + 12])
                yield first, low | high << 32, length


def _entries(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Inode and name of each; one of a bad length ends the block."""
    at = 0
    while at + 8 <= len(block):
        number, length, name = struct.unpack("<IHB", block[at : at + 7])
        if length < 8 or length % 4 or at + length > len(block):
            raise MediumError("an entry of a folder is damaged")
        yield number, block[at + 8 : at + 8 + name]
        at += length
