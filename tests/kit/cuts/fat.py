"""FAT32 as firmware reads it: folders, long names, chains of clusters. Read only, of a disk that may be damaged.

In: a region of a disk, in a state that a power cut may have left. Out: files by path, with the digest of their content
("" for one whose chain ends too early). (Microsoft: FAT32 File System Specification, 1.03.)
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.kit.cuts.log import SECTOR
from tests.kit.cuts.region import Region

END = 0x0FFFFFF8
FOLDER, VOLUME, LONG = 0x10, 0x08, 0x0F


@dataclass(frozen=True)
class Record:
    """One name in a folder."""

    name: str
    folder: bool
    first: int
    size: int


class Fat:
    """One region; what was read once is not read again while the same writes made it."""

    def __init__(self, region: Region) -> None:
        self.region = region
        start = region.read(0, SECTOR)
        size, self.per, reserved, copies = struct.unpack_from("<HBHB", start, 11)
        (length,), (self.root,) = struct.unpack_from("<I", start, 36), struct.unpack_from("<I", start, 44)
        self.cluster, self.table, self.length = size * self.per, reserved * size, length * size
        self.begin = self.table + copies * self.length
        self._chains: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
        self._digests: dict[tuple[bytes, int], str] = {}
        self._table = b""

    def look(self) -> None:
        """The state has changed."""
        self._table = hashlib.sha256(self.region.read(self.table, self.length)).digest()

    def tree(self) -> dict[str, Record]:
        """Every file and folder by its path, as `EFI/Linux/toweros-8.efi`; names in their own letters."""
        found: dict[str, Record] = {}
        self._walk(self.root, "", found, 0)
        return found

    def _walk(self, first: int, above: str, found: dict[str, Record], depth: int) -> None:
        for record in self._records(first):
            found[above + record.name] = record
            if record.folder and depth < 4:
                self._walk(record.first, f"{above}{record.name}/", found, depth + 1)

    def _records(self, first: int) -> Iterator[Record]:
        data = b"".join(self.region.read(*run) for run in self._runs(first))
        long: dict[int, bytes] = {}
        checksum = -1
        for place in range(0, len(data), 32):
            slot = data[place : place + 32]
            if slot[0] == 0:
                return
            if slot[0] == 0xE5:
                long = {}
            elif slot[11] & 0x3F == LONG:
                if slot[0] & 0x40:
                    long, checksum = {}, slot[13]
                if slot[13] == checksum:
                    long[slot[0] & 0x3F] = slot[1:11] + slot[14:26] + slot[28:32]
            else:
                name = _name(slot, long if _checksum(slot) == checksum else {})
                long = {}
                high, low, size = (*struct.unpack_from("<H", slot, 20), *struct.unpack_from("<HI", slot, 26))
                if not slot[11] & VOLUME and name not in (".", ".."):
                    yield Record(name, bool(slot[11] & FOLDER), high << 16 | low, size)

    def _runs(self, first: int) -> list[tuple[int, int]]:
        """(place, bytes) of a chain, neighbours together."""
        key = (first, self._table)
        if key not in self._chains:
            table = memoryview(self.region.read(self.table, self.length)).cast("I")
            runs: list[list[int]] = []
            seen, cluster = 0, first
            while 2 <= cluster < min(END, len(table)) and seen < len(table):
                seen += 1
                if runs and runs[-1][1] == cluster:
                    runs[-1][1] += 1
                else:
                    runs.append([cluster, cluster + 1])
                cluster = table[cluster] & 0x0FFFFFFF
            self._chains[key] = [
                (self.begin + (one - 2) * self.cluster, (end - one) * self.cluster) for one, end in runs
            ]
        return self._chains[key]

    def content(self, record: Record) -> bytes | None:
        """None: its chain ends too early."""
        runs = self._runs(record.first) if record.size else []
        if sum(size for _, size in runs) < record.size:
            return None
        return b"".join(self.region.read(*run) for run in runs)[: record.size]

    def digest(self, record: Record) -> str:
        runs = self._runs(record.first) if record.size else []
        key = (hashlib.sha256(repr(runs).encode() + b"".join(self.region.stamp(*run) for run in runs)).digest(),
               record.size)  # fmt: skip
        if key not in self._digests:
            data = self.content(record)
            self._digests[key] = "" if data is None else hashlib.sha256(data).hexdigest()
        return self._digests[key]

    def metadata(self) -> list[tuple[int, bytes]]:
        """Everything but the content of files, with its places."""
        folders = [record.first for record in self.tree().values() if record.folder]
        runs = [(0, self.begin), *self._runs(self.root), *(run for first in folders for run in self._runs(first))]
        return [(start, self.region.read(start, size)) for start, size in runs]

    def shared(self, tree: Mapping[str, Record]) -> list[str]:
        """Files that have a cluster with another in common."""
        owners: dict[int, str] = {}
        both: set[str] = set()
        for path, record in tree.items():
            for start, size in self._runs(record.first) if record.size else []:
                for place in range(start, start + size, self.cluster):
                    if (owner := owners.setdefault(place, path)) != path:
                        both |= {owner, path}
        return sorted(both)


def _name(slot: bytes, long: Mapping[int, bytes]) -> str:
    if long and sorted(long) == list(range(1, len(long) + 1)):
        text = b"".join(long[each] for each in sorted(long)).decode("utf-16-le", errors="replace")
        return text.partition("\0")[0]
    base, end = (part.rstrip(b" ").decode("cp437") for part in (slot[:8], slot[8:11]))
    base, end = base.lower() if slot[12] & 0x08 else base, end.lower() if slot[12] & 0x10 else end
    return base + (f".{end}" if end else "")


def _checksum(slot: bytes) -> int:
    total = 0
    for each in slot[:11]:
        total = ((total & 1) << 7 | total >> 1) + each & 0xFF
    return total
