"""What was written to a disk, and when that had to last: QEMU's `blklogwrites`, the format of dm-log-writes.

In: the log. Out: epochs of writes, in the order in which they ended. Rules: what a flush follows is on the disk for
good; of what came after the last flush any part may be there, in any order, down to single sectors.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
SECTOR = 512


@dataclass(frozen=True)
class Write:
    """Sectors of the disk from `sector` on. `place` is that of the data, in the log."""

    number: int
    sector: int
    count: int
    place: int


class Log:
    """A log file, read where it lies."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, version, self.entries, self.block = struct.unpack_from("<QQQI", self._data)
        assert (magic, version) == (MAGIC, 1), "this is no log of writes"
        self.epochs, self.flushes = self._read()

    def _read(self) -> tuple[list[list[Write]], int]:
        epochs: list[list[Write]] = [[]]
        place, flushes = self.block, 0
        for number in range(self.entries):
            sector, count, flags, _ = struct.unpack_from("<QQQQ", self._data, place)
            place += self.block
            scale = self.block // SECTOR
            if flags & FLUSH:
                flushes += 1
                epochs.append([])
            if count and not flags & DISCARD:
                epochs[-1].append(Write(number + 1, sector * scale, count * scale, place))
                place += count * self.block
            if flags & FUA:
                epochs.append([])
        return epochs, flushes

    def data(self, write: Write) -> bytes:
        return self._data[write.place : write.place + write.count * SECTOR]


def within(epochs: Sequence[Sequence[Write]], start: int, size: int) -> Iterator[list[Write]]:
    """The epochs as a partition sees them: `size` bytes from `start` on, counted from its own beginning."""
    first, end = start // SECTOR, (start + size) // SECTOR
    for epoch in epochs:
        inside = [each for each in epoch if first <= each.sector and each.sector + each.count <= end]
        assert len(inside) == sum(first < each.sector + each.count and each.sector < end for each in epoch)
        yield [Write(each.number, each.sector - first, each.count, each.place) for each in inside]
