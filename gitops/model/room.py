"""What a box's disk has room for, and what a release needs of it. Pure.

Room(2048 * MIB * 15 // 16, 252 * MIB).shortage(layers, entry)      # "" when it fits, else what is needed
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gitops.model.release import Layer

MIB = 2**20
TREE = 33, 32
"""A layer with its verity tree, in parts of the layer."""
USABLE = 15, 16
"""What a file system leaves of a partition, and a download of that."""
HEADROOM = 32 * MIB
"""Bytes of TOWEROS that a download leaves free (pkg/agent, host/disk.py)."""
TABLES = 4 * MIB
"""Bytes for FAT's own tables and folders."""
ENTRIES = 3
"""UKIs on an ESP: the one that runs, the one before, the one that is being written."""


@dataclass(frozen=True)
class Room:
    """Bytes that the layers of all releases on a box may take, and its boot files."""

    layers: int
    boot: int

    @classmethod
    def of_partitions(cls, toweros: int, esp: int) -> "Room":
        """Of a disk that we make: its partitions' bytes."""
        return cls(toweros * USABLE[0] // USABLE[1], esp - TABLES)

    @classmethod
    def of_file_systems(cls, toweros: int, esp: int) -> "Room":
        """As a box reports it: all blocks of its file systems. ext4 keeps one percent for root."""
        return cls(max(toweros - toweros // 100 - HEADROOM, 0), esp)

    def shortage(self, layers: int, entry: int) -> str:
        """What does not fit, in words; empty when all does. `entry`: bytes of one release's boot files."""
        needed, boot = layers * TREE[0] // TREE[1], ENTRIES * entry
        if needed > self.layers:
            return f"the layers need {_mib(needed)} MiB of TOWEROS, which has room for {self.layers // MIB} MiB"
        if boot > self.boot:
            return f"three UKIs need {_mib(boot)} MiB of the ESP, which has room for {self.boot // MIB} MiB"
        return ""


def together(releases: Iterable[Iterable[Layer]]) -> int:
    """Bytes of the layers of several releases, each once."""
    return sum(layer.size for layer in {layer for release in releases for layer in release})


def _mib(size: int) -> int:
    return -(-size // MIB)
