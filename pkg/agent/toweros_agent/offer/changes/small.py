"""A small file put together of one that is here and what changed since: release documents, and addons.

In: what the server answers for `/deltas/FROM/TO.zlib` (docs/formats.md), and the file that it is of. Out: the new one.
Rules: pieces of `PIECE` bytes, each a zlib stream (RFC 1950) whose dictionary is what the old file has at that place,
and somewhat around it; no piece becomes more than that, whatever is sent; whether it is the right file, its digest
says.

    together(delta, old, 13_412)
"""

import zlib

from toweros_agent.nouns import Refused

PIECE, AROUND = 16 << 10, 8 << 10
"""Bytes; a piece and its dictionary fit into zlib's window."""
MOST = 256 << 10
"""Bytes of a file that is brought so."""


def together(delta: bytes, old: bytes, size: int) -> bytes:
    """The file of `size` bytes. Raises `Refused` when that is not what `delta` gives."""
    found = b""
    while delta and len(found) < size:
        one = zlib.decompressobj(zdict=old[max(0, len(found) - AROUND) : len(found) + PIECE + AROUND])
        try:
            piece = one.decompress(delta, PIECE + 1)
        except zlib.error as error:
            raise Refused(f"what changed is of another file: {error}") from error
        if not one.eof or len(piece) > PIECE:
            raise Refused(f"a piece of what changed has no end within {PIECE} bytes")
        found, delta = found + piece, one.unused_data
    if delta or len(found) != size:
        raise Refused(f"what changed gives {len(found)} of {size} bytes")
    return found
