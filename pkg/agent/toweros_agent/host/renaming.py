"""A new name for a file on vfat that a power cut cannot empty (ADR 32).

vfat's rename writes a new directory record of size 0; the size and the place of the content come with the inode's
writeback, up to 35 seconds later, and the old record is gone by then. So the new name is made first, as an empty file,
and made to last; then both names exchange their contents; then the records are written one by one, the full one first.
At any moment at least one of the names has all of the content; an empty name is nothing to a boot loader.
"""

import errno
import os
from pathlib import Path

from toweros_agent.host.disk import file_digest, sync_folder

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""renameat2(2). vfat has it since Linux 6.0."""
MISSING = (errno.EINVAL, errno.ENOSYS)


def rename(old: Path, new: Path, *, check: bool) -> None:
    """Give `old` the name `new`, in the same folder. `check`: read it back from the disk, whole.

    Raises:
        FileExistsError: `new` has content.
        OSError: it did not work, or the disk does not give back what it had.
    """
    expected = file_digest(old) if check else ""
    _make_empty(new)
    try:
        exchange(new, old)
    except OSError as error:
        if error.errno not in MISSING:
            raise
        old.replace(new)
        settle(new)
    else:
        settle(new)
        settle(old)
        old.unlink()
    sync_folder(new.parent)
    if check and file_digest(new) != expected:
        raise OSError(errno.EIO, "the disk does not give back what it had before", new.name)


def replace(new: Path, old: Path) -> None:
    """Let a settled file take the place of another in the same folder. Raises `OSError`."""
    try:
        exchange(new, old)
    except OSError as error:
        if error.errno not in MISSING:
            raise
        new.replace(old)
    settle(old)
    new.unlink(missing_ok=True)
    sync_folder(old.parent)


def exchange(one: Path, other: Path) -> None:
    """Let two files change their names with each other."""
    import ctypes  # a megabyte that an idle agent does not need

    names = [AT_FDCWD, bytes(one), AT_FDCWD, bytes(other)]
    if ctypes.CDLL(None, use_errno=True).renameat2(*names, RENAME_EXCHANGE):
        raise OSError(number := ctypes.get_errno(), os.strerror(number), one.name)


def settle(path: Path) -> None:
    """To the disk and out of the page cache: what is read next comes from the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _make_empty(path: Path) -> None:
    """An empty file of that name which lasts; one may be left of an earlier try."""
    if path.exists() and path.stat().st_size:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path.name)
    path.touch()
    settle(path)
    sync_folder(path.parent)
