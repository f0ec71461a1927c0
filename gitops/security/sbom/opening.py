"""Archives of others, opened with a bound on what is unpacked: a few KiB may hold terabytes of zeros.

In: a file; or a member of one. Out: an open tar. Rules: gzip, bzip2, xz (with a bound on memory) and zstd, by the first
bytes; what is unpacked lies in a file that has no name, and no more of it than `MOST`.

    with tar_in(Path("data.tar.xz")) as archive: archive.getmembers()
"""

import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from gitops.errors import ProcessError
from gitops.oci.packed.unpacked import unpacked

MOST = 4 << 30
"""Bytes of one package, unpacked: a kernel with its modules is an eighth."""
CHUNK = 1 << 20
DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ProcessError)
"""How it can fail."""


class Source(Protocol):
    """Something to read from, such as a member of an archive."""

    def read(self, size: int, /) -> bytes: ...


class TooLargeError(ValueError):
    """It is more than is unpacked of anything."""


@contextmanager
def tar_in(file: Path, most: int = MOST) -> Iterator[tarfile.TarFile]:
    """A tar, compressed or not.

    Raises:
        TooLargeError: it has more than `most` bytes inside. `DAMAGE`: it is no tar, or a damaged one.
    """
    with tempfile.TemporaryFile() as plain:
        with unpacked(file) as stream:
            copied(stream, plain, most)
        plain.seek(0)
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            yield archive


@contextmanager
def member(source: Source, most: int = MOST) -> Iterator[tarfile.TarFile]:
    """The tar that a member of another archive is. Raises as `tar_in`."""
    with tempfile.NamedTemporaryFile() as file:
        copied(source, file, most)
        file.flush()
        with tar_in(Path(file.name), most) as archive:
            yield archive


def copied(source: Source | IO[bytes], target: IO[bytes], most: int) -> None:
    """Raises TooLargeError: there is more than `most`."""
    size = 0
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if size > most:
            raise TooLargeError(f"it has more than {most} bytes when it is unpacked")
        target.write(chunk)
