"""Bytes of a device, or of a file that holds what one has: read in bounds, and where its file systems may begin.

In: an open handle. Out: bytes, or `MediumError`. Rules: nothing is believed of what is read: each offset is held
against the size of the device, and each table has a limit.

    disk = Disk.of(handle)
    [part.start for part in volumes(disk)]          # [0, 1048576]
"""

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SECTOR = 512
MAX_PARTS = 128
MBR_ROWS, MBR_ROW = 446, 16
GPT, GPT_KIND = b"EFI PART", 0xEE
UNUSED = bytes(16)


class MediumError(Exception):
    """It is not what it must be, or the device does not give it. `missing`: there is no such file; `gone`: the device
    has become smaller, as it does when it is pulled out."""

    def __init__(self, message: str, *, missing: bool = False, gone: bool = False) -> None:
        super().__init__(message)
        self.missing, self.gone = missing, gone


@dataclass(frozen=True)
class Disk:
    """A device, or a part of one: `size` bytes from `start`."""

    handle: int
    size: int
    start: int = 0

    @classmethod
    def of(cls, handle: int) -> "Disk":
        """Raises MediumError: it is neither a block device nor a file. OSError: there is no medium in it."""
        mode = os.fstat(handle).st_mode
        if not (stat.S_ISBLK(mode) or stat.S_ISREG(mode)):
            raise MediumError("it is neither a device nor a file")
        return cls(handle, os.lseek(handle, 0, os.SEEK_END))

    def at(self, offset: int, length: int) -> bytes:
        """All of it. Raises MediumError: it ends before, or it does not come."""
        if not 0 <= offset <= offset + length <= self.size:
            raise MediumError(f"it names byte {offset + length} of {self.size}")
        data = b""
        try:
            while len(data) < length:
                piece = os.pread(self.handle, length - len(data), self.start + offset + len(data))
                if not piece:
                    raise MediumError(f"it ends at byte {offset + len(data)} of {self.size}", gone=True)
                data += piece
        except OSError as error:
            raise MediumError(f"it cannot be read: {error.strerror}") from error
        return data

    def part(self, start: int, size: int) -> "Disk":
        return Disk(self.handle, max(0, min(size, self.size - start)), self.start + start)


def volumes(disk: Disk) -> Iterator[Disk]:
    """Where file systems may be: on the device itself, and in each partition (MBR, GPT)."""
    yield disk
    if disk.size < 64 * SECTOR:
        return
    first = disk.at(0, SECTOR)
    if first[-2:] != b"\x55\xaa":
        return
    rows = [first[at : at + MBR_ROW] for at in range(MBR_ROWS, SECTOR - 2, MBR_ROW)]
    if any(row[4] == GPT_KIND for row in rows):
        yield from _gpt(disk)
    for row in rows:
        begin, count = struct.unpack("<II", row[8:])
        if row[4] not in (0, GPT_KIND) and 0 < begin * SECTOR < disk.size:
            yield disk.part(begin * SECTOR, count * SECTOR)


def _gpt(disk: Disk) -> Iterator[Disk]:
    """The UEFI specification, 5.3."""
    head = disk.at(SECTOR, 92)
    table, count, size = struct.unpack("<QII", head[72:88])
    if head[:8] != GPT or not 128 <= size <= 4096:
        return
    for number in range(min(count, MAX_PARTS)):
        entry = disk.at(table * SECTOR + number * size, 48)
        begin, end = struct.unpack("<QQ", entry[32:48])
        if entry[:16] != UNUSED and 0 < begin <= end and begin * SECTOR < disk.size:
            yield disk.part(begin * SECTOR, (end - begin + 1) * SECTOR)
