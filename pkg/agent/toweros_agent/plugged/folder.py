"""A bundle in a folder of the box: an operator copied it there.

Rules: links are not followed: a bundle names no file of the box; what cannot be read is the bundle's fault, not that
of the box's disk.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toweros_agent.media import NAME
from toweros_agent.offer.net import CHUNK, NetError


@dataclass(frozen=True)
class Folder:
    """One that may hold a bundle. `key` is one word."""

    place: Path
    key: str

    @property
    def name(self) -> str:
        return str(self.place)

    @property
    def there(self) -> bool:
        """Whether it holds one, that was not cut as it was made. A disk that answers with errors has none."""
        try:
            return (self.place / NAME).is_file()
        except OSError:
            return False

    def read(self, path: str, limit: int) -> bytes:
        """Raises `NetError`: it is not there (404), larger than `limit` (413), or cannot be read."""
        with _opened(self.place / path) as file:
            data = _read(file, path, limit + 1)
        if len(data) > limit:
            raise NetError(f"{path}: more than {limit} bytes", 413)
        return data

    def size(self, path: str) -> int | None:
        """None: it is not there. Raises `NetError`: nobody can say."""
        place = self.place / path
        try:
            return place.stat().st_size if place.is_file() and not place.is_symlink() else None
        except OSError as error:
            raise NetError(f"{place}: {error}") from error

    def copy(self, path: str, part: Path, limit: int, tick: Callable[[], None]) -> None:
        """All of it into `part`. Raises as `read`, and `OSError` when `part` cannot be written."""
        with _opened(self.place / path) as file, part.open("wb") as target:
            while chunk := _read(file, path, CHUNK):
                if target.tell() + len(chunk) > limit:
                    raise NetError(f"{path}: more than the {limit} bytes that were promised", 413)
                target.write(chunk)
                tick()
            target.flush()
            os.fsync(target.fileno())


def _opened(place: Path) -> IO[bytes]:
    try:
        if place.is_symlink() or not place.is_file():
            raise NetError(f"{place}: it is not in the bundle", 404)
        return place.open("rb")
    except OSError as error:
        raise NetError(f"{place}: {error}") from error


def _read(file: IO[bytes], path: str, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise NetError(f"{path}: it cannot be read: {error}") from error
