"""A layer as a plain tar, however it is compressed.

In: a file. Out: what is inside, as a stream, or written out. Rules: it is read once, a piece at a time, and no further
than the limit; the compression (gzip of many members, zstd of many frames and zstd:chunked, bzip2, xz, none) is seen by
the first bytes, as engines see it, not by the manifest. What zstd or xz packed may ask for 128 MiB of memory
(`--long=27`, `xz -9`) and no more. Loads next to nothing: `toweros assemble` waits for it.

    with unpacked(store.blobs.path(digest)) as stream: ...
    size = unpack(file, Path("0.tar"))
"""

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gitops.errors import ProcessError
from gitops.oci.packed.xz import Xz
from gitops.process import piped

MAX_UNPACKED = 8 << 30
"""Bytes of all layers of an image as plain tars: what one layer of a release may have."""
CHUNK = 1 << 20
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError)
# By itself it stops at windows of more than 128 MiB; but behind a frame of its own it reads xz, too, without any bound.
ZSTD_READS = ("prlimit", "--core=0", f"--as={512 << 20}", "zstd", "-dcq")
ZSTD, SKIPPED = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"


def is_zstd(file: Path) -> bool:
    """Whether a layer is compressed by zstd (RFC 8878, 3.1: a frame, or one to skip before it)."""
    with file.open("rb") as raw:
        first = raw.read(4)
    return first == ZSTD or (first[:1] != b"" and 0x50 <= first[0] <= 0x5F and first[1:] == SKIPPED)


@contextmanager
def unpacked(file: Path) -> Iterator[IO[bytes]]:
    """A layer as a plain tar.

    Raises:
        ProcessError: zstd is not installed, or it was read to its end and is damaged.
    """
    if is_zstd(file):
        try:
            with file.open("rb") as raw, piped(ZSTD_READS, raw, hint="install zstd") as stream:
                yield stream
        except ProcessError as error:
            error.message = error.message.replace("prlimit failed", "zstd failed")
            raise
    else:
        with file.open("rb") as raw, plain(raw) as stream:
            yield stream


def unpack(file: Path, target: Path, limit: int = MAX_UNPACKED, digest: "hashlib._Hash | None" = None) -> int:
    """Write what is inside of a layer, no more than a piece beyond the limit, and feed it to `digest`. Its size; one of
    `DAMAGE`: it cannot be read to its end."""
    size = 0
    try:
        with unpacked(file) as stream, target.open("wb") as output:
            while size <= limit and (chunk := stream.read(CHUNK)):
                size += output.write(chunk)
                if digest:
                    digest.update(chunk)
    except ProcessError as error:
        raise OSError(error.message.splitlines()[-1].removeprefix("zstd: ")[:200]) from error
    return size


def is_plain(file: Path) -> bool:
    """Whether a layer is not compressed in any way that is known here."""
    with file.open("rb") as raw, plain(raw) as stream:
        return stream is raw and not is_zstd(file)


def plain(raw: IO[bytes]) -> IO[bytes]:
    """What is inside, by its first bytes; zstd is left as it is."""
    first = raw.read(6)
    raw.seek(0)
    if first.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if first.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if first.startswith(b"\xfd7zXZ\0"):
        return io.BufferedReader(Xz(raw))
    return raw
