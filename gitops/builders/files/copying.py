"""A plain file is copied, and it is told which side failed: a stick that is broken is no full disk.

In: a file of somebody's folder. Out: its bytes in a file of ours. Rules: only a plain file is opened, for others may
never answer; no more is read than is wanted.

    copy(Path("/media/usb/sha256/5c1e"), Path("file"), largest=2048)
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20


class UnreadableError(Exception):
    """The file, or a folder on the way to it, cannot be read."""


def copy(source: Path, target: Path, largest: int | None = None) -> int:
    """How many bytes were written: when they are more than `largest`, the rest was not read.

    Raises:
        FileNotFoundError: `source` is not there, or is no plain file. UnreadableError: it cannot be read.
        OSError: `target` cannot be written.
    """
    with _opened(source) as stream, target.open("wb") as out:
        while (largest is None or out.tell() <= largest) and (chunk := _read(stream, source)):
            out.write(chunk)
        return out.tell()


def _opened(source: Path) -> BinaryIO:
    try:
        # Without O_NONBLOCK, to open a pipe waits for somebody who writes.
        handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"{source} is not there") from error
    except OSError as error:
        raise UnreadableError(f"{source} cannot be read: {error.strerror}") from error
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise FileNotFoundError(f"{source} is no plain file")


def _read(stream: BinaryIO, source: Path) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:
        raise UnreadableError(f"{source} cannot be read: {error.strerror}") from error
