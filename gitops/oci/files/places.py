"""Where images lie as files: a folder, or a tar that is read in place, whichever program made it.

In: a folder, a tar (compressed or not). Out: the bytes of its files, by path. Rules: paths and links are followed
inside of it, and lead to files alone; what is asked for is read within a bound; nothing is unpacked but a compressed
tar, once, to a plain one.

    with opened(Path("images.tar"), scratch) as place:
        place.read("index.json", 4 << 20)
"""

import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from typing import IO, Protocol

from gitops.errors import AssembleError, ProcessError
from gitops.oci.packed.unpacked import is_zstd, plain, unpacked

CHUNK = 1 << 20
MAX_MEMBERS = 100_000
MAX_PLAIN = 64 << 30
"""Bytes of a compressed tar as a plain one."""
DAMAGE = (OSError, EOFError, zlib.error, LZMAError, ProcessError)


class Place(Protocol):
    """Files by path."""

    name: str

    def open(self, path: str) -> IO[bytes]:
        """Raises KeyError: there is no such file."""
        ...


class Folder:
    """Implements `Place`."""

    def __init__(self, folder: Path) -> None:
        self.name, self._folder = str(folder), folder.resolve()

    def open(self, path: str) -> IO[bytes]:
        try:
            place = (self._folder / path).resolve(strict=True)
            # Whoever made the folder names the paths: none is outside, and a pipe would be waited for.
            if place.is_relative_to(self._folder) and place.is_file():
                return place.open("rb")
        except (OSError, RuntimeError, ValueError) as error:
            raise KeyError(path) from error
        raise KeyError(path)


class Archive:
    """Implements `Place`."""

    def __init__(self, name: str, archive: tarfile.TarFile) -> None:
        self.name, self._archive = name, archive
        self._members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(archive):
            if count >= MAX_MEMBERS:
                raise AssembleError(f"{name} has more than {MAX_MEMBERS} members")
            self._members[member.name.removeprefix("./")] = member

    def open(self, path: str) -> IO[bytes]:
        try:
            stream = self._archive.extractfile(self._members[path])
        except RecursionError as error:  # links in a circle
            raise KeyError(path) from error
        if stream is None:
            raise KeyError(path)
        return stream


def read(place: Place, path: str, limit: int) -> bytes:
    """A whole file.

    Raises:
        KeyError: there is none. AssembleError: it is larger than `limit` bytes, or damaged.
    """
    try:
        with place.open(path) as stream:
            data = stream.read(limit + 1)
    except (OSError, tarfile.TarError) as error:
        raise AssembleError(f"{place.name}: {path} cannot be read: {error}") from error
    if len(data) > limit:
        raise AssembleError(f"{place.name}: {path} has more than {limit} bytes")
    return data


@contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Place]:
    """A folder, or a tar. `scratch`: a folder for the time that a compressed one is read.

    Raises:
        AssembleError: it is neither.
    """
    if path.is_dir():
        yield Folder(path)
        return
    if path.exists() and not path.is_file():
        raise AssembleError(f"{path} is a pipe or a device, and an archive is read more than once", hint=HINT)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".import-") as work:
        try:
            with tarfile.open(_plain(path, Path(work, "plain.tar")), "r:") as archive:
                yield Archive(str(path), archive)
        except (tarfile.TarError, *DAMAGE) as error:
            raise AssembleError(f"{path} is neither a folder nor a whole tar: {error}", hint=HINT) from error


def _plain(path: Path, target: Path) -> Path:
    with path.open("rb") as raw, plain(raw) as stream:
        if stream is raw and not is_zstd(path):
            return path
    with unpacked(path) as stream, target.open("wb") as output:
        while chunk := stream.read(CHUNK):
            output.write(chunk)
            if output.tell() > MAX_PLAIN:
                raise AssembleError(f"{path} has more than {MAX_PLAIN} bytes when it is unpacked")
    return target


HINT = "name an OCI layout (a folder or a tar), a file that `docker save` wrote, or docker:NAME"
