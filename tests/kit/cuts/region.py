"""A partition in the state of one moment: what lasts, and on trial above it what a power cut may have left of the rest.

with region.holding([(number, sector, data), ...]):
    ...     # the file has it, for whatever program reads the file
"""

import mmap
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.kit.cuts.log import SECTOR

Piece = tuple[int, int, bytes]
"""A write's number, its first sector, its data."""


class Region:
    """A file of its own. `writer` has for each sector the number of the write that it is from: equal is unchanged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self.data = mmap.mmap(file.fileno(), 0)
        self.writer = array("I", bytes(4 * (len(self.data) // SECTOR)))

    def settle(self, pieces: Sequence[Piece]) -> None:
        """What lasts from now on."""
        for number, sector, data in pieces:
            self.data[sector * SECTOR : sector * SECTOR + len(data)] = data
            self.writer[sector : sector + len(data) // SECTOR] = array("I", [number]) * (len(data) // SECTOR)

    @contextmanager
    def holding(self, pieces: Sequence[Piece]) -> Iterator[None]:
        before = []
        for _, sector, data in pieces:
            end = sector + len(data) // SECTOR
            before.append((sector, self.data[sector * SECTOR : end * SECTOR], self.writer[sector:end]))
            self.settle([(_, sector, data)])
        try:
            yield
        finally:
            for sector, old, numbers in reversed(before):
                self.data[sector * SECTOR : sector * SECTOR + len(old)] = old
                self.writer[sector : sector + len(numbers)] = numbers

    def read(self, start: int, size: int) -> bytes:
        return self.data[start : start + size]

    def stamp(self, start: int, size: int) -> bytes:
        """Equal for equal content."""
        return self.writer[start // SECTOR : -(-(start + size) // SECTOR)].tobytes()
