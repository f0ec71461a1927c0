"""The BIOS disk as clouds take it: in whole GiB.

In: a raw disk. Out: the same for AWS (a raw disk, for `import-snapshot`), and for Google (`disk.raw` in a tar of the
old GNU format, gzip; Compute Engine, "Manually importing boot disks").
"""

import shutil
import struct
import tarfile
import zlib
from typing import BinaryIO

from gitops.assemble.formats.tar import END
from gitops.assemble.formats.work import EPOCH, Work

GIB = 1 << 30
CHUNK = 1 << 20
LEVEL = 1
"""Of the disk, kernel and initrd are packed already."""


def aws(work: Work) -> None:
    """The disk, filled up."""
    shutil.copyfile(work.file("bios.raw"), work.target)
    with work.target.open("r+b") as stream:
        stream.truncate(_whole(work))


def gcp(work: Work) -> None:
    """The disk in a tar, filled up."""
    info = tarfile.TarInfo("disk.raw")
    info.size, info.mode, info.mtime = _whole(work), 0o644, EPOCH
    with work.file("bios.raw").open("rb") as source, work.target.open("wb") as output:
        packed = _Gzip(output)
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        while chunk := source.read(CHUNK):
            packed.write(chunk)
        packed.zeros(info.size - source.tell())
        packed.write(END)
        packed.close()


class _Gzip:
    """One stream of gzip (RFC 1952). Behind a full flush nothing depends on what was before: zeros are packed once."""

    def __init__(self, output: BinaryIO) -> None:
        self._output, self._crc, self._size = output, 0, 0
        output.write(b"\x1f\x8b\x08" + bytes(6) + b"\xff")

    def write(self, data: bytes) -> None:
        self._put(data, self._packed(data, zlib.Z_FULL_FLUSH))

    def zeros(self, count: int) -> None:
        chunk = bytes(CHUNK)
        packed = self._packed(chunk, zlib.Z_FULL_FLUSH)
        for _ in range(count // CHUNK):
            self._put(chunk, packed)
        self.write(bytes(count % CHUNK))

    def close(self) -> None:
        self._output.write(self._packed(b"", zlib.Z_FINISH) + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def _packed(self, data: bytes, flush: int) -> bytes:
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(data) + packer.flush(flush)

    def _put(self, data: bytes, packed: bytes) -> None:
        self._crc, self._size = zlib.crc32(data, self._crc), self._size + len(data)
        self._output.write(packed)


def _whole(work: Work) -> int:
    return -(-work.file("bios.raw").stat().st_size // GIB) * GIB
