"""What a place can do, and the simplest one: a folder, which anything can serve.

place = Folder("site", Path("/srv/toweros"))
place.put("layers/" + root, layers.path(root), kind)
place.listed()                          # path -> bytes, of all that is ours
"""

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Protocol

from gitops.errors import PublishError, StoreError
from gitops.publish.elsewhere.kinds import Kind, kind_of
from gitops.store.files.blobs import arriving

TOPS = ("attestations", "deltas", "layers", "metadata", "targets")
BEGUN = ".new-"
ABANDONED = 3600.0
"""Seconds after which nobody writes a file any more that has no name yet."""
OPEN, FOLDER = 0o644, 0o755


class Place(Protocol):
    """Where files are published. All of it raises `PublishError`, in words that hold no secret."""

    name: str

    def listed(self) -> dict[str, int]:
        """Path -> bytes, of every file of ours."""

    def put(self, path: str, data: Path | bytes, kind: Kind) -> None:
        """Who asks for `path` meanwhile gets what was there, or all of the new file."""

    def read(self, path: str, most: int) -> bytes | None:
        """A small file; None: it is not there, or has more than `most` bytes."""

    def remove(self, path: str) -> None:
        """It may be gone already."""


class Folder:
    """Implements `Place`. On the store's file system, what never changes takes no room: it is a second name of the same
    file. Types and caching are up to who serves it (docs/publishing.md)."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self._root = name, root

    def listed(self) -> dict[str, int]:
        found: dict[str, int] = {}
        try:
            for top in TOPS:
                for above, _, names in os.walk(self._root / top):
                    for name in names:
                        self._look(Path(above, name), found)
        except OSError as error:
            raise self._failed(error) from error
        return found

    def _look(self, file: Path, found: dict[str, int]) -> None:
        with contextlib.suppress(FileNotFoundError):
            known = file.stat()
            if kind_of(path := str(file.relative_to(self._root))):
                found[path] = known.st_size
            elif file.name.startswith(BEGUN) and time.time() - known.st_mtime > ABANDONED:
                file.unlink()

    def put(self, path: str, data: Path | bytes, kind: Kind) -> None:
        target = self._root / path
        try:
            self._folders(target.parent)
            with arriving(target) as new:
                if isinstance(data, bytes):
                    new.write_bytes(data)
                else:
                    _take(data, new, link=not kind.changes)
        except StoreError as error:
            raise PublishError(error.message, hint="is the disk full?") from error
        except OSError as error:
            raise self._failed(error) from error

    def _folders(self, folder: Path) -> None:
        """Who serves them is somebody else, whatever our umask is."""
        if not folder.is_dir():
            if folder != self._root:
                self._folders(folder.parent)
            folder.mkdir(exist_ok=True, parents=folder == self._root)
            folder.chmod(FOLDER)

    def read(self, path: str, most: int) -> bytes | None:
        try:
            with (self._root / path).open("rb") as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        return data if len(data) <= most else None

    def remove(self, path: str) -> None:
        try:
            (self._root / path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it is not empty
                (self._root / path).parent.rmdir()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> PublishError:
        return PublishError(f"{self._root}: {error.strerror}", hint="may we write there, and is its disk full?")


def _take(data: Path, new: Path, *, link: bool) -> None:
    if link:
        new.unlink()
        with contextlib.suppress(OSError):  # it is on another file system, or one that knows no links
            return os.link(data, new)
    shutil.copyfile(data, new)
    return None
