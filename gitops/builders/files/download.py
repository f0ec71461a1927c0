"""One file from one place, within bounds: a server that is slow, silent or lying costs seconds, not the build.

In: a Place, and what the lock says of the file. Out: `Answer`, and the bytes in `target` when it is `had`. Rules: never
more bytes than the lock says; the digest alone decides whether it is the file.
"""

import enum
from dataclasses import dataclass
from pathlib import Path

import requests
import stamina

from gitops.builders.files.copying import UnreadableError, copy
from gitops.builders.places import Place
from gitops.model import LockedFile
from gitops.store.files.blobs import digest_file
from gitops.web.ask import Bounds, WebError, ask


class Answer(enum.Enum):
    """What a place had to say about a file."""

    had = enum.auto()
    absent = enum.auto()
    other = enum.auto()
    """It has a file there, with other bytes."""
    away = enum.auto()
    """It cannot be reached, does not answer, or is too slow."""


@dataclass(frozen=True)
class Patience:
    """Seconds to connect, without a byte, and for a file of no size; bytes per second of the slowest server that
    counts."""

    connect: float = 10.0
    silence: float = 30.0
    least: float = 60.0
    pace: int = 16 << 10
    attempts: int = 2

    def longest(self, size: int) -> float:
        """Seconds that a file of this size may take."""
        return self.least + size / self.pace


def download(place: Place, file: LockedFile, target: Path, patience: Patience) -> Answer:
    """Ask one place for one file.

    Raises:
        OSError: `target` cannot be written.
    """
    try:
        if not (_copy(place, file, target) if place.folder else _get(place.address, file.size, target, patience)):
            return Answer.absent
    except (WebError, UnreadableError):
        return Answer.away
    return Answer.had if digest_file(target).sha256 == file.sha256 else Answer.other


def _copy(place: Place, file: LockedFile, target: Path) -> bool:
    """False when the folder does not have it, or has something longer."""
    try:
        return copy(Path(place.address), target, file.size) <= file.size
    except FileNotFoundError:
        return False


def _get(url: str, size: int, target: Path, patience: Patience) -> bool:
    """False when the server does not have it."""
    for attempt in stamina.retry_context(on=_passing, attempts=patience.attempts, wait_max=5.0):
        with attempt:
            return _get_once(url, size, target, patience)
    raise AssertionError("stamina returns or raises")


def _passing(error: Exception) -> bool:
    """Whether to ask once more: not those who took all the time that they had."""
    return isinstance(error, WebError) and error.again


def _get_once(url: str, size: int, target: Path, patience: Patience) -> bool:
    """What is longer than the lock says has another digest too: its rest is not read."""
    bounds = Bounds(patience.connect, patience.silence, patience.longest(size), size)
    with ask(url, bounds, {"Accept-Encoding": "identity"}) as answer:
        if requests.codes.bad_request <= answer.status < requests.codes.server_error:
            return False  # not there, or not for us
        if answer.status >= requests.codes.server_error:
            raise WebError(f"the server says {answer.status}", again=True)
        answer.save(target)
    return True
