"""A file that somebody named, written whole or not at all, and a folder that one process at a time changes.

In: a path. Out: a stream, or a place beside the path. Rules: what was there before stays until the new one is whole;
whatever ends the writing (a full disk, Ctrl-c) leaves nothing beside it; two who write one file at once do not mix, and
the later one counts; a device or a pipe is written as it is; of a link, what it leads to.

    with whole(Path("image.tar")) as stream:
        stream.write(b"...")
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole(target: Path) -> Iterator[BinaryIO]:
    """Raises OSError, whose `filename` is the target where it is about that."""
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:
            yield stream
        return
    with beside(target) as new, new.open("xb") as stream:
        yield stream


@contextlib.contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A path in the target's folder that is nobody's: on a clean exit what is there takes the target's name.

    Raises:
        OSError: it cannot be written.
    """
    place = target.resolve()
    new = place.with_name(f".{place.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        yield new
        new.replace(place)
    except OSError as error:
        if error.errno and error.filename in (None, str(new)):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def held(folder: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """The folder is this process's alone, or with others who share it. Whether it is: False only without `wait`.

    Raises:
        OSError: there is no such folder.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(handle, how if wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
