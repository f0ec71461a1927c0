"""One file from one place, within bounds: a server that is slow, silent or lying costs seconds, not the build.

In: a Place, and what the lock says of the file. Out: `Answer`, and the bytes in `target` when it is `had`. Rules: never
more bytes than the lock says; the digest alone decides whether it is the file; a few redirects are followed.
"""

import enum
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import requests
import stamina
from urllib3.exceptions import HTTPError

from gitops.builders.places import Place
from gitops.model import LockedFile
from gitops.store.files.blobs import digest_file

CHUNK = 1 << 20
REDIRECTS = 5


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


class _TooSlowError(requests.RequestException):
    """Its bytes come, but not at a pace that ends."""


def download(place: Place, file: LockedFile, target: Path, patience: Patience) -> Answer:
    """Ask one place for one file.

    Raises:
        OSError: `target` cannot be written.
    """
    try:
        if not (_copy(place, file, target) if place.folder else _get(place.address, file.size, target, patience)):
            return Answer.absent
    except requests.RequestException:
        return Answer.away
    return Answer.had if digest_file(target).sha256 == file.sha256 else Answer.other


def _copy(place: Place, file: LockedFile, target: Path) -> bool:
    source = Path(place.address)
    if not source.is_file() or source.stat().st_size > file.size:
        return False
    try:
        shutil.copyfile(source, target)
    except PermissionError:
        return False
    return True


def _get(url: str, size: int, target: Path, patience: Patience) -> bool:
    """False when the server does not have it."""
    for attempt in stamina.retry_context(on=_passing, attempts=patience.attempts, wait_max=5.0):
        with attempt:
            return _get_once(url, size, target, patience)
    raise AssertionError("stamina returns or raises")


def _passing(error: Exception) -> bool:
    """Whether to ask once more: not those who took all the time that they had."""
    slow = isinstance(error, requests.Timeout | requests.TooManyRedirects | _TooSlowError)
    return isinstance(error, requests.RequestException) and not slow


def _get_once(url: str, size: int, target: Path, patience: Patience) -> bool:
    until = time.monotonic() + patience.longest(size)
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        session.auth = lambda request: request  # or requests sends what a .netrc says, to hosts that a lock names
        plain = {"Accept-Encoding": "identity"}
        times = (patience.connect, patience.silence)
        with session.get(url, stream=True, timeout=times, headers=plain) as answer:
            if requests.codes.bad_request <= answer.status_code < requests.codes.server_error:
                return False  # not there, or not for us
            answer.raise_for_status()
            _save(answer, size, target, until)
    return True


def _save(answer: requests.Response, size: int, target: Path, until: float) -> None:
    """Longer than the lock says: its digest will not fit either, so no more is read."""
    with target.open("wb") as out:
        try:
            while out.tell() <= size and (chunk := answer.raw.read1(CHUNK)):
                out.write(chunk)
                if time.monotonic() > until:
                    raise _TooSlowError(f"{answer.url} is too slow")
        except HTTPError as error:
            raise requests.ConnectionError(str(error)) from error
