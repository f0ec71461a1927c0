"""Many small files at once: each is whole or not there, and the disk is asked twice for all of them.

In: names below a folder, their bytes. Out: the files, also after a power cut, when this returns. Rules: bytes are on
the disk before any of the names is there, and the names before this returns, as when each file is synced by itself;
only that the file system is asked once for all (syncfs, Linux 2.6.39): 30,000 times would take minutes.

    appear(metadata, [("boxes/demo-1/7.targets.json", data), ...], staging)
"""

import ctypes
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gitops.errors import StoreError

_LIBC = ctypes.CDLL(None, use_errno=True)


def appear(root: Path, files: Sequence[tuple[str, bytes]], staging: Path | None = None) -> None:
    """Write all `files` below `root`. `staging`: where they lie until then, on the same file system.

    Raises:
        StoreError: the disk is full, or does not write. Each name has what it had, or all of the new.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        for folder in {name.rpartition("/")[0] for name, _ in files}:
            (root / folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=staging or root) as place:
            for number, (_, data) in enumerate(files):
                _write(f"{place}/{number}", data)
            _sync(place)
            for number, (name, _) in enumerate(files):
                Path(place, f"{number}").replace(root / name)
            _sync(place)
    except FileNotFoundError:
        raise  # the folder `staging` is gone: another one is the controller by now
    except OSError as error:
        raise StoreError(f"cannot write {root}: {error.strerror}", hint="is the disk full?") from error


def _write(path: str, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        if os.write(handle, data) != len(data):
            raise OSError(0, "written in part")
    finally:
        os.close(handle)


def _sync(folder: str) -> None:
    """All of the file system that `folder` is on (syncfs(2)), errors of writing back included (Linux 5.8)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(handle):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(handle)
