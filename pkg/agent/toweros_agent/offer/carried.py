"""A bundle: what the server has for this box, in a folder that somebody carried here (contracts/bundle).

In: folders where one may be. Out: the same names as the server's, below `bundle:`. Rules: it is asked where the server
is out of reach, and for content before any server; nothing in it is believed: what is signed, verity roots and digests
decide, as with any mirror. Links are not followed: a stick names no file of the box.

    carried = Carried(Path("/state/bundle"))
    carried.read("bundle:/metadata/timestamp.json", 16 << 10)
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO

from toweros_agent.nouns import readable
from toweros_agent.offer.net import CARRIED, CHUNK, NetError

NAME = "toweros-bundle.json"
MAX_NAME = 1 << 20
DIGEST = re.compile(r"[0-9a-f]{64}")
PLACES = {"metadata": "repo/metadata", "attestations": "repo/attestations"}


class Carried:
    """The first of `folders` that holds a bundle."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def folder(self) -> Path | None:
        """Where it is; None: there is none, or it was cut as it was made."""
        return next((each for each in self._folders if _is_file(each / NAME)), None)

    def check(self) -> None:
        """Raises `NetError` when it is of a format that this agent does not read."""
        folder = self.folder()
        try:
            if folder:
                with (folder / NAME).open("rb") as file:
                    readable(NAME, json.loads(file.read(MAX_NAME)))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise NetError(f"{NAME}: {type(error).__name__}: {error}") from error

    def read(self, url: str, limit: int) -> bytes:
        """Raises `NetError`: it is not there (404), larger than `limit` (413), or cannot be read."""
        with _opened(self._place(url)) as file:
            data = _read(file, url, limit + 1)
        if len(data) > limit:
            raise NetError(f"{url}: more than {limit} bytes", 413)
        return data

    def size(self, url: str) -> int | None:
        """None: it is not there. Raises `NetError`: nobody can say."""
        place = self._place(url)
        try:
            return place.stat().st_size if place.is_file() and not place.is_symlink() else None
        except OSError as error:
            raise NetError(f"{place}: {error}") from error

    def copy(self, url: str, part: Path, limit: int, tick: Callable[[], None]) -> None:
        """All of it into `part`. Raises as `read`, and `OSError` when `part` cannot be written."""
        with _opened(self._place(url)) as file, part.open("wb") as target:
            while chunk := _read(file, url, CHUNK):
                if target.tell() + len(chunk) > limit:
                    raise NetError(f"{url}: more than the {limit} bytes that were promised", 413)
                target.write(chunk)
                tick()
            target.flush()
            os.fsync(target.fileno())

    def _place(self, url: str) -> Path:
        folder = self.folder()
        if folder is None:
            raise NetError("there is no bundle", 404)
        kind, _, rest = url.removeprefix(CARRIED).lstrip("/").partition("/")
        digest = DIGEST.search(rest)
        if kind == "targets" and digest:
            return folder / "blobs" / "sha256" / digest[0]
        return folder / PLACES.get(kind, kind) / Path(rest).name


def _is_file(path: Path) -> bool:
    """A stick that answers with errors is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _opened(place: Path) -> IO[bytes]:
    try:
        if place.is_symlink() or not place.is_file():
            raise NetError(f"{place}: it is not in the bundle", 404)
        return place.open("rb")
    except OSError as error:
        raise NetError(f"{place}: {error}") from error


def _read(file: IO[bytes], url: str, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise NetError(f"{url}: it cannot be read: {error}") from error
