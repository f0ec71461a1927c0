"""What all file systems here have in common: a file is a size, and where its bytes lie.

Rules: a name is looked for in the folder that was asked for and nowhere else, so nothing has to be listed, and no link
is followed; a folder has a limit, so one of a million files costs as much as one of some thousand.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from .disk import Disk, MediumError

MAX_FOLDER = 8 << 20
"""Bytes of one folder: some 40,000 names."""
MAX_RUNS = 1 << 20
MAX_FILE = 1 << 40


@dataclass(frozen=True)
class Run:
    """`length` bytes in one piece; `offset` None: zeros that are nowhere."""

    offset: int | None
    length: int


@dataclass(frozen=True)
class Content:
    """A file of `size` bytes."""

    size: int
    runs: tuple[Run, ...]


class Volume(Protocol):
    """One file system. `kind` is its name."""

    kind: str
    disk: Disk

    def find(self, path: str) -> Content:
        """A file. Raises MediumError: there is none of this name (`missing`), or the file system is damaged."""


def missing(path: str) -> MediumError:
    return MediumError(f"there is no {path}", missing=True)


def content(size: int, runs: Iterable[Run]) -> Content:
    """`size` bytes of `runs`, neighbours as one. Raises MediumError: they hold less."""
    joined: list[Run] = []
    left = size
    if size > MAX_FILE:
        raise MediumError(f"a file of {size} bytes")
    for whole in runs if size else ():
        run = Run(whole.offset, min(whole.length, left))
        left -= run.length
        last = joined[-1] if joined else None
        if last and last.offset is not None and last.offset + last.length == run.offset:
            joined[-1] = Run(last.offset, last.length + run.length)
        elif len(joined) == MAX_RUNS:
            raise MediumError(f"a file in more than {MAX_RUNS} pieces")
        else:
            joined.append(run)
        if left <= 0:  # no further: behind the last cluster there is none
            break
    if left > 0:
        raise MediumError(f"a file of {size} bytes has only {size - left}")
    return Content(size, tuple(joined))
