"""A disk that answers each read and write with an I/O error from a moment on, and is replaced by its whole copy later.

A file system in a loop device in a file system in a loop device: the outer one is told to go down (EXT4_IOC_SHUTDOWN,
fs/ext4/ext4.h), so the kernel's own block layer says EIO to the inner one. That needs no device mapper.

    with bad_disk(tmp_path) as disk:
        (disk.place / "file").write_bytes(b"x")
        disk.fails()
        disk.is_whole_again()       # what was synced is there, as after a power cut
"""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GO_DOWN = 0x8004587D
"""_IOR('X', 125, __u32)."""
NOTHING_MORE = 2
"""EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal."""


class BadDisk:
    """`place` is where it is mounted."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.outer, self.place = folder / "outer", folder / "disk"
        self._files = {self.outer: folder / "outer.img", self.place: self.outer / "disk.img"}
        for number, (place, file) in enumerate(self._files.items()):
            place.mkdir()
            with file.open("wb") as new:
                new.truncate((megabytes + 32 * (1 - number)) << 20)
            _run("mkfs.ext4", "-q", "-F", "-m", "0", file)
            _mount(file, place)

    def fails(self) -> None:
        """From now on, for what is not in memory; and nothing stays in memory that need not."""
        os.sync()
        for path in self.place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                _forget(path)
        handle = os.open(self.outer, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, GO_DOWN, struct.pack("I", NOTHING_MORE))
        finally:
            os.close(handle)

    def is_whole_again(self) -> None:
        """Whoever used it has to have ended."""
        self.unmount()
        for place, file in self._files.items():
            subprocess.run(["e2fsck", "-fy", file], capture_output=True)
            _mount(file, place)

    def unmount(self) -> None:
        for place in (self.place, self.outer):
            if place.is_mount():
                _run("umount", place)


@contextmanager
def bad_disk(folder: Path, megabytes: int = 96) -> Iterator[BadDisk]:
    """Skips where nobody may mount. It is gone with the context."""
    try:
        disk = BadDisk(folder, megabytes)
    except subprocess.CalledProcessError as error:
        for place in (folder / "disk", folder / "outer"):
            subprocess.run(["umount", "-l", place], capture_output=True)
        pytest.skip(f"nobody here may mount what lies in a file: {error.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        for place in (disk.place, disk.outer):
            subprocess.run(["umount", "-l", place], capture_output=True)


def _forget(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


def _mount(file: Path, place: Path) -> None:
    _run("mount", "-o", "loop,noatime", file, place)


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)
