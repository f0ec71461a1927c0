"""What was written to a disk, and when that had to last: QEMU's `blklogwrites`, the format of dm-log-writes.

In: the log. Out: epochs of writes, in the order in which they ended. Rules: what a flush follows is on the disk for
good; of what came after the last flush any part may be there, in any order, down to single sectors.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
SECTOR = 512


@dataclass(frozen=True)
class Write:
    """Sectors of the disk from `sector` on. The data is in log `log`, at `place`."""

    number: int
    sector: int
    count: int
    log: int
    place: int


class Log:
    """A folder of logs, one after the other, read where they lie. One log's end is an end of epoch: power was off."""

    def __init__(self, folder: Path) -> None:
        self._data: list[mmap.mmap] = []
        self.epochs: list[list[Write]] = [[]]
        self.flushes = self.writes = 0
        for path in sorted(folder.iterdir()):
            if path.stat().st_size:
                self._read(path)

    def _read(self, path: Path) -> None:
        """To the end of the file: the number of entries in its head is not always the last one."""
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, version, _, block = struct.unpack_from("<QQQI", data)
        assert (magic, version) == (MAGIC, 1), f"{path} is no log of writes"
        self._data.append(data)
        place, scale = block, block // SECTOR
        while place + block <= len(data):
            sector, count, flags, _ = struct.unpack_from("<QQQQ", data, place)
            assert flags <= FLUSH | FUA | DISCARD, f"{path}: no entry at {place}"
            place += block
            if flags & FLUSH:
                self.flushes += 1
                self.epochs.append([])
            if count and not flags & DISCARD:
                if place + count * block > len(data):
                    break  # it is being written
                self.writes += 1
                self.epochs[-1].append(Write(self.writes, sector * scale, count * scale, len(self._data) - 1, place))
                place += count * block
            if flags & FUA:
                self.epochs.append([])
        self.epochs.append([])

    def data(self, write: Write) -> bytes:
        return self._data[write.log][write.place : write.place + write.count * SECTOR]


def within(epochs: Sequence[Sequence[Write]], start: int, size: int) -> Iterator[list[Write]]:
    """The epochs as a partition sees them: `size` bytes from `start` on, counted from its own beginning."""
    first, end = start // SECTOR, (start + size) // SECTOR
    for epoch in epochs:
        inside = [each for each in epoch if first <= each.sector and each.sector + each.count <= end]
        assert len(inside) == sum(first < each.sector + each.count and each.sector < end for each in epoch)
        yield [replace(each, sector=each.sector - first) for each in inside]
