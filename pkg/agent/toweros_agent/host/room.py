"""Is there room to write, and may anybody? Asked before anything is written: what is refused in time breaks nothing.

A file system that met an error of its disk is read-only from then on (ext4's `errors=remount-ro`); one that has blocks
may have no inodes. Both look like room to who counts bytes alone.
"""

import os
from pathlib import Path
from typing import NamedTuple

from toweros_agent.nouns import Refused

FEW_BYTES = 4 << 20
FEW_INODES = 64
MOUNTS = Path("/proc/self/mountinfo")
OF_THE_ROOT = ("overlay", "erofs")
"""What a folder is on that has no file system of its own: the verified root."""


class Mounted(NamedTuple):
    """Type and state of a file system, as mountinfo (proc(5)) has them."""

    kind: str = OF_THE_ROOT[0]
    read_only: bool = False


def demand(name: str, folder: Path, size: int, inodes: int = FEW_INODES) -> None:
    """Raises `Refused` when `size` more bytes, or that many more files, do not fit; `OSError` when nobody can tell."""
    about = os.statvfs(folder)
    free = about.f_bavail * about.f_frsize
    if _mounted(folder).read_only:
        raise Refused(f"{name} is read-only: the disk has errors, or the file system has")
    if free < size:
        raise Refused(f"no space on {name}: {_amount(size)} needed, {_amount(free)} free")
    if about.f_files and about.f_favail < inodes:
        raise Refused(f"no space on {name}: {inodes} more files needed, {about.f_favail} possible")


def trouble(name: str, folder: Path) -> str:
    """What is wrong with a file system already, "" when nothing is, or when there is none of its own."""
    try:
        if _mounted(folder).kind not in OF_THE_ROOT:
            demand(name, folder, FEW_BYTES)
    except Refused as error:
        return str(error)
    except OSError as error:
        return f"{name} cannot be asked: {error}"
    return ""


def blocks(folder: Path, kind: str) -> int:
    """Bytes of all blocks of the file system that `folder` is on; 0: it is of another kind, or nobody can tell."""
    try:
        about = os.statvfs(folder)
        return about.f_blocks * about.f_frsize if _mounted(folder).kind == kind else 0
    except OSError:
        return 0


def usage(folder: Path) -> tuple[int, int]:
    """Bytes of the file system that `folder` is on, and those that are free; (0, 0): it is on the verified root."""
    about, mounted = os.statvfs(folder), _mounted(folder)
    whole = 0 if mounted.kind in OF_THE_ROOT else about.f_frsize
    return about.f_blocks * whole, about.f_bfree * whole


def in_memory(folder: Path) -> bool:
    """Whether `folder` is a mount point of memory: then nothing in it outlives the power."""
    try:
        rows = [line.split() for line in MOUNTS.read_text(errors="replace").splitlines()]
    except OSError:
        return False
    return [row[row.index("-") + 1] for row in rows if row[4] == str(folder)][-1:] == ["tmpfs"]


def _mounted(folder: Path) -> Mounted:
    """The file system that a folder is on. A bind mount may be read-only where the file system itself is not."""
    rows = (line.split() for line in MOUNTS.read_text(errors="replace").splitlines())
    found = {row[4]: Mounted(row[row.index("-") + 1], "ro" in row[-1].split(",")) for row in rows}
    return next((found[str(each)] for each in (folder, *folder.parents) if str(each) in found), Mounted())


def _amount(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
