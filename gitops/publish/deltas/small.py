"""What changed from one small file to another: a box that has one fetches little for the next (ADR 113).

In: two blobs of a store, by digest. Out: a few hundred bytes. Rules: nothing is kept, as it takes less than a
millisecond; pieces of `PIECE` bytes, each a zlib stream (RFC 1950) with what the old file has at that place, and
`AROUND` it, as its dictionary: a change moves what follows it by less, most of the time, and where it does not, the box
takes the whole file.

    changes(store.blobs, old, new)      # b"\\x78\\xbb..."; None: one of them is not here, or too large
"""

import zlib

from gitops.errors import StoreError
from gitops.store.files.blobs import Blobs

PIECE, AROUND = 16 << 10, 8 << 10
MOST = 256 << 10
"""Bytes of a file. A larger one is no release document."""
LEVEL = 9


def changes(blobs: Blobs, old: str, new: str) -> bytes | None:
    """Of the file with one digest to that with the other."""
    try:
        if max(blobs.path(each).stat().st_size for each in (old, new)) > MOST:
            return None
        return between(blobs.read(old), blobs.read(new))
    except (OSError, StoreError):
        return None


def between(old: bytes, new: bytes) -> bytes:
    """Piece by piece."""
    return b"".join(_piece(old, new, at) for at in range(0, len(new), PIECE))


def _piece(old: bytes, new: bytes, at: int) -> bytes:
    one = zlib.compressobj(LEVEL, zdict=old[max(0, at - AROUND) : at + PIECE + AROUND])
    return one.compress(new[at : at + PIECE]) + one.flush()
