"""dm-verity's hash tree (kernel docs, admin-guide/device-mapper/verity: hash type 1).

In: a file of whole 4096-byte blocks. Out: its root hash, and the tree as `veritysetup format --no-superblock --salt=-`
writes it: level above level, the top first, each padded with zeros to whole blocks. Rules: SHA-256, empty salt. A file
of one block has no tree: its own hash is the root. Memory: 1/128 of the file, read in pieces of 1 MiB.

    root_hash(Path("layer.erofs"))  ->  "5c1e..."
"""

import hashlib
import os
from pathlib import Path

from gitops.errors import AssembleError
from gitops.model import BLOCK

PIECE = 256 * BLOCK


def root_hash(path: Path) -> str:
    """The verity root of a file, as lower-case hex.

    Raises:
        AssembleError: the size is zero or no multiple of 4096.
    """
    return hash_tree(path)[0]


def hash_tree(path: Path) -> tuple[str, bytes]:
    """The verity root of a file and its whole tree, ready to be appended to the data."""
    level = _hash_file(path)
    levels: list[bytes] = []
    while len(level) > hashlib.sha256().digest_size:
        padded = level + bytes(-len(level) % BLOCK)
        levels.insert(0, padded)
        level = _hash_blocks(padded)
    return level.hex(), b"".join(levels)


def append_tree(path: Path) -> str:
    """Append the tree to the file's data, as a box keeps it. Returns the root."""
    root, tree = hash_tree(path)
    with path.open("ab") as stream:
        stream.write(tree)
    return root


def _hash_file(path: Path) -> bytes:
    size = path.stat().st_size
    if size == 0 or size % BLOCK:
        raise AssembleError(f"{path.name}: {size} bytes are not a whole number of {BLOCK}-byte blocks")
    hashes = bytearray()
    with path.open("rb") as stream:
        # Read once from end to end: the kernel reads ahead.
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while piece := stream.read(PIECE):
            hashes += _hash_blocks(piece)
    return bytes(hashes)


def _hash_blocks(data: bytes) -> bytes:
    sha256 = hashlib.sha256
    return b"".join(sha256(data[start : start + BLOCK]).digest() for start in range(0, len(data), BLOCK))
