"""FAT12, FAT16 and FAT32 with long names, as sticks have them (Microsoft's FAT specification 1.03).

Rules: names are the same in capitals; a chain of clusters is followed as far as the size of the file, that of a folder
as far as `MAX_FOLDER`: a chain that bites its tail has an end as well.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .disk import Disk, MediumError
from .files import MAX_FOLDER, Content, Run, content, missing

ENTRY, LONG, LABEL, FOLDER = 32, 0x0F, 0x08, 0x10
FREE, END = 0xE5, 0x00
FAT12_BELOW, FAT16_BELOW = 4085, 65525
BLOCK = 4096


@dataclass
class Table:
    """The table of clusters: which one comes next. `bits` of one entry; `heap` is where cluster 2 begins."""

    disk: Disk
    start: int
    bits: int
    heap: int
    cluster: int
    count: int
    _block: int = -1
    _data: bytes = field(default=b"", repr=False)

    def next(self, cluster: int) -> int:
        bit = cluster * self.bits
        value = int.from_bytes(self._bytes(self.start + bit // 8, 4), "little") >> bit % 8
        return value & ((1 << min(self.bits, 28)) - 1)

    def _bytes(self, offset: int, length: int) -> bytes:
        """Out of the block that was read last: a chain stays near."""
        block = offset // BLOCK * BLOCK
        if block != self._block:
            end = min(block + BLOCK + 8, self.disk.size)
            self._block, self._data = block, self.disk.at(block, max(0, end - block))
        return self._data[offset - block : offset - block + length]

    def place(self, cluster: int) -> int:
        if not 2 <= cluster < self.count + 2:
            raise MediumError(f"cluster {cluster} of {self.count}")
        return self.heap + (cluster - 2) * self.cluster

    def runs(self, cluster: int) -> Iterator[Run]:
        """Cluster by cluster; whoever takes them knows how many."""
        while True:
            yield Run(self.place(cluster), self.cluster)
            cluster = self.next(cluster)

    def folder(self, cluster: int) -> Iterator[bytes]:
        """The entries of a folder, to the end of its chain."""
        size, end = 0, (1 << min(self.bits, 28)) - 8
        while cluster < end:
            yield from entries(self.disk.at(self.place(cluster), self.cluster))
            size += self.cluster
            if size >= MAX_FOLDER:
                raise MediumError(f"a folder of more than {MAX_FOLDER} bytes")
            cluster = self.next(cluster)


def entries(data: bytes) -> Iterator[bytes]:
    return (data[at : at + ENTRY] for at in range(0, len(data) - ENTRY + 1, ENTRY))


class Fat:
    """`root` gives the entries of the root folder, which FAT12 and FAT16 keep apart."""

    def __init__(self, disk: Disk, table: Table, root: Callable[[], Iterator[bytes]]) -> None:
        self.disk, self._table, self._root, self.kind = disk, table, root, "vfat"

    @classmethod
    def open(cls, disk: Disk) -> "Fat | None":
        """None: it is no FAT."""
        head = disk.at(0, 512)
        sector, per, reserved, tables, rooted = struct.unpack("<HBHBH", head[11:19])
        total, short = struct.unpack("<H", head[19:21])[0], struct.unpack("<H", head[22:24])[0]
        total32, long, _, _, root = struct.unpack("<IIHHI", head[32:48])
        sane = sector in (512, 1024, 2048, 4096) and per and not per & (per - 1) and reserved and tables in (1, 2)
        if head[510:512] != b"\x55\xaa" or not sane or not (short or long):
            return None
        flat = reserved + tables * (short or long)
        fixed = -(-rooted * ENTRY // sector)
        count = ((total or total32) - flat - fixed) // per
        if count <= 0:
            return None
        bits = 12 if count < FAT12_BELOW else 16 if count < FAT16_BELOW else 32
        table = Table(disk, reserved * sector, bits, (flat + fixed) * sector, per * sector, count)
        if bits == 32:
            return cls(disk, table, lambda: table.folder(root))
        return cls(disk, table, lambda: entries(disk.at(flat * sector, rooted * ENTRY)))

    def find(self, path: str) -> Content:
        *folders, last = path.split("/")
        listed = self._root()
        for name in folders:
            entry = _named(listed, name, path)
            if not entry[11] & FOLDER:
                raise missing(path)
            listed = self._table.folder(_first(entry))
        entry = _named(listed, last, path)
        if entry[11] & FOLDER:
            raise missing(path)
        size = int.from_bytes(entry[28:32], "little")
        return content(size, self._table.runs(_first(entry)) if size else ())


def _first(entry: bytes) -> int:
    return int.from_bytes(entry[20:22], "little") << 16 | int.from_bytes(entry[26:28], "little")


def _named(listed: Iterator[bytes], name: str, path: str) -> bytes:
    """The short entry of a name. Long names stand before it, their last piece first."""
    wanted, pieces = name.upper(), dict[int, bytes]()
    for entry in listed:
        if entry[0] == END:
            break
        if entry[0] == FREE:
            pieces = {}
        elif entry[11] == LONG:
            pieces = {} if entry[0] & 0x40 else pieces
            pieces[entry[0] & 0x1F] = entry[1:11] + entry[14:26] + entry[28:32]
        else:
            whole = b"".join(pieces[number] for number in sorted(pieces)).decode("utf-16-le", "replace")
            pieces = {}
            known = {whole.partition("\0")[0].upper(), _short(entry)}
            if not entry[11] & LABEL and wanted in known:
                return entry
    raise missing(path)


def _short(entry: bytes) -> str:
    stem, ending = (entry[part].decode("cp437").rstrip() for part in (slice(0, 8), slice(8, 11)))
    return f"{stem}.{ending}" if ending else stem
