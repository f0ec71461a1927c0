"""A file that somebody named, read within a bound, whatever it turns out to be.

In: a path, the most bytes that make sense. Out: its bytes. Rules: a folder, a device or a file of /proc that never ends
is refused, and so is what is larger, before it is read; a pipe (`<(program)` in a shell) is read to its end for as long
as somebody writes into it.

    named(Path("toweros.toml"), 1 << 20)
"""

import errno
import os
import stat
from multiprocessing.connection import wait
from pathlib import Path

PATIENCE = 30
"""Seconds without a byte, until a pipe counts as one that nobody writes into."""
CHUNK = 1 << 20


class UnfitError(OSError):
    """It is there, and no file of that kind. `strerror` says why, in words for people."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EINVAL, why, str(path))


def named(path: Path, most: int) -> bytes:
    """All of it.

    Raises:
        UnfitError: it is no file, or has more than `most` bytes. OSError: it cannot be read. ValueError: the path has a
            zero byte.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise UnfitError(path, "is a folder, and a file is expected")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise UnfitError(path, "is a device, and a file is expected")
        if status.st_size > most:
            raise UnfitError(path, f"has more than {most} bytes")
        found = _all(descriptor, path, most)
    finally:
        os.close(descriptor)
    if not found and stat.S_ISFIFO(status.st_mode):
        raise UnfitError(path, "is a pipe that nobody writes into")
    return found


def _all(descriptor: int, path: Path, most: int) -> bytes:
    found = bytearray()
    while chunk := _some(descriptor, path):
        found += chunk
        if len(found) > most:
            raise UnfitError(path, f"has more than {most} bytes")
    return bytes(found)


def _some(descriptor: int, path: Path) -> bytes:
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError as error:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) or not wait([descriptor], PATIENCE):
            raise UnfitError(path, "gives no byte, and does not end") from error
        return os.read(descriptor, CHUNK)
