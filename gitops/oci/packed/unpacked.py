"""Layers as they are unpacked: counted, hashed, and compared with what the image's config says of them.

In: an image whose layers are in the store. Out: nothing, or an error. Rules: a layer is read once, a piece at a time,
and no further than the limit; the compression is seen by the first bytes, as engines see it, not by the manifest.
What zstd or xz packed may ask for 128 MiB of memory (`--long=27`, `xz -9`) and no more.

    check_layers(store, image)
    with unpacked(store.blobs.path(digest)) as stream: ...
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

from gitops.errors import ProcessError, RegistryError
from gitops.model import AppImage
from gitops.oci.image import layers_of
from gitops.oci.packed.xz import Xz
from gitops.process import piped
from gitops.store import Store

MAX_UNPACKED = 16 << 30
"""Bytes of all layers of an image as plain tars."""
CHUNK = 1 << 20
# By itself it stops at windows of more than 128 MiB; but behind a frame of its own it reads xz, too, without any bound.
ZSTD_READS = ("prlimit", "--core=0", f"--as={512 << 20}", "zstd", "-dcq")
ZSTD, SKIPPED = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"


def check_layers(store: Store, image: AppImage, limit: int = MAX_UNPACKED) -> None:
    """Raises RegistryError: the layers are more than `limit` bytes, are not what the config says, or unreadable."""
    said = layers_of(image)
    if not said:
        raise RegistryError("its config does not say what its layers are")
    left = limit
    for layer, diff_id in zip(image.layers, said, strict=True):
        try:
            found, size = _digest(store.blobs.path(layer.sha256), left)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise RegistryError(f"its layer {layer.sha256[:12]} cannot be unpacked: {error}") from error
        except ProcessError as error:
            message = f"its layer {layer.sha256[:12]} cannot be unpacked: {error.message}"
            raise RegistryError(message, hint=error.hint) from error
        if size > left:
            raise RegistryError(f"its layers have more than {limit} bytes when they are unpacked")
        if found != diff_id:
            raise RegistryError(f"its layer {layer.sha256[:12]} is not what its config says: {found[:12]}")
        left -= size


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


def _digest(file: Path, limit: int) -> tuple[str, int]:
    """Of what is inside, no more than a piece beyond the limit."""
    digest, size = hashlib.sha256(), 0
    with unpacked(file) as stream:
        while size <= limit and (chunk := stream.read(CHUNK)):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


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
