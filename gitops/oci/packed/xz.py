"""What xz packed, unpacked with a bound on memory: a header of a few bytes may ask for 4 GiB.

In: an open file, or bytes. Out: a stream of what is inside, or bytes. Rules: `MEMORY` is what `xz -9` asks for, twice;
several streams in one file, with zeros between them, are one, as xz(1) reads them (The .xz File Format, 2.2).

    with Xz(raw) as stream: stream.read(CHUNK)
    whole(data, limit)
"""

import io
import lzma
from typing import IO

from gitops.errors import RegistryError

MEMORY = 128 << 20
"""Bytes."""
_CHUNK = 64 << 10
_LIMITED = "Memory usage limit exceeded"


class Xz(io.RawIOBase):
    """A stream. Raises lzma.LZMAError: it is damaged, or asks for too much memory; EOFError: it is cut off."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._unpacker, self._left = raw, _unpacker(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        found = self._some(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _some(self, size: int) -> bytes:
        while True:
            if self._unpacker.eof and not self._next():
                return b""
            if self._unpacker.needs_input and not self._left:
                self._left = self._raw.read(_CHUNK)
                if not self._left:
                    raise EOFError("it is cut off")
            packed, self._left = self._left, b""
            if found := _unpacked(self._unpacker, packed, size):
                return found

    def _next(self) -> bool:
        """The next stream in the file, if there is one."""
        left = self._unpacker.unused_data
        while not (left := left.lstrip(b"\0")):
            if not (left := self._raw.read(_CHUNK)):
                return False
        self._unpacker, self._left = _unpacker(), left
        return True


def whole(data: bytes, limit: int) -> bytes:
    """All that is inside.

    Raises:
        RegistryError: it is damaged, has more than `limit` bytes, or asks for too much memory.
    """
    try:
        found = io.BufferedReader(Xz(io.BytesIO(data))).read(limit + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise RegistryError(f"it cannot be unpacked: {error}") from error
    if len(found) > limit:
        raise RegistryError(f"it has more than {limit} bytes when it is unpacked")
    return found


def _unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)


def _unpacked(unpacker: lzma.LZMADecompressor, packed: bytes, size: int) -> bytes:
    try:
        return unpacker.decompress(packed, size)
    except lzma.LZMAError as error:
        if _LIMITED in str(error):
            message = f"it asks for more than {MEMORY >> 20} MiB of memory: pack it with `xz -9` or less"
            raise lzma.LZMAError(message) from error
        raise
