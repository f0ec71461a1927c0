"""dm-verity hash trees: what proves that a file is the layer that its name says.

SHA-256, hash type 1, 4096-byte data and hash blocks, empty salt, no superblock, top level first: byte for byte what
`veritysetup format --no-superblock --salt=- --hash-offset=SIZE` appends (kernel: Documentation/admin-guide/
device-mapper/verity.rst). One hash block holds 128 digests; a layer of one block has no tree: its digest is the root.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from toweros_agent.nouns import BLOCK, Layer, Refused

PER_BLOCK = BLOCK // hashlib.sha256().digest_size
STEP = 1 << 20


def tree_size(size: int) -> int:
    """Bytes of the tree over `size` bytes of data."""
    blocks, total = size // BLOCK, 0
    while blocks > 1:
        blocks = -(-blocks // PER_BLOCK)
        total += blocks * BLOCK
    return total


def hash_tree(data: BinaryIO, size: int, tick: Callable[[], None]) -> tuple[str, bytes]:
    """Root (hex) and tree of the next `size` bytes of `data`; `Refused` when there are fewer."""
    digests = []
    for offset in range(0, size, STEP):
        chunk = data.read(min(STEP, size - offset))
        if len(chunk) != min(STEP, size - offset):
            raise Refused(f"ends after {offset + len(chunk)} of {size} bytes")
        digests += [hashlib.sha256(chunk[at : at + BLOCK]).digest() for at in range(0, len(chunk), BLOCK)]
        tick()
    levels: list[bytes] = []
    while len(digests) > 1:
        level = b"".join(digests)
        level += bytes(-len(level) % BLOCK)
        levels.insert(0, level)
        digests = [hashlib.sha256(level[at : at + BLOCK]).digest() for at in range(0, len(level), BLOCK)]
    return digests[0].hex(), b"".join(levels)


def seal(path: Path, layer: Layer, tick: Callable[[], None]) -> None:
    """Accept a file as `layer`: compare its root with its name, append the tree, sync, and read all back.

    Raises:
        Refused: the content is not what the name says, or the disk gave back something else.
    """
    with path.open("r+b") as file:
        root, tree = hash_tree(file, layer.size, tick)
        if root != layer.root:
            raise Refused(f"layer {layer.root[:12]}: the content is not what its name says")
        file.truncate(layer.size)
        file.seek(layer.size)
        file.write(tree)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with path.open("rb") as file:
        if hash_tree(file, layer.size, tick) != (root, file.read()):
            raise Refused(f"layer {layer.root[:12]}: the disk does not give back what was written")
