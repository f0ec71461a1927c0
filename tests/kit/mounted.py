"""What the kernel of this machine says of an EROFS image: nobody's reading but that of the box itself.

In: an image, as root. Out: what is at each path; or what differs from what was read of the tar. Paths are walked by
open folders, as a layer's may be longer than one system call takes.

    differences(contents, seen(Path("layer.erofs")))  ->  []
"""

import contextlib
import os
import stat
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitops.assemble.tars.reader import Contents
from gitops.assemble.tars.tree import Entry

OVERLAY = "trusted.overlay."
CAPABILITY = "security.capability"


def has_erofs() -> bool:
    return "\terofs\n" in Path("/proc/filesystems").read_text()


@dataclass(frozen=True)
class Seen:
    """One path: what the kernel says of it. `data`: bytes, a link's target, or a device's number."""

    status: os.stat_result
    xattrs: dict[str, bytes]
    data: bytes | int


def seen(image: Path) -> dict[str, Seen]:
    """Every path of an image; `` is the root."""
    with mounted(image) as root:
        found = {"": _look(root, ".")}
        todo = [(os.open(root, os.O_RDONLY | os.O_DIRECTORY), "")]
        while todo:
            folder, path = todo.pop()
            for name in os.listdir(folder):  # noqa: PTH208 (it is no path)
                below = f"{path}/{name}".lstrip("/")
                found[below] = _look(f"/proc/self/fd/{folder}", name)
                if stat.S_ISDIR(found[below].status.st_mode):
                    todo.append((os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder), below))
            os.close(folder)
        return found


@contextlib.contextmanager
def mounted(image: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "erofs", "-o", "ro,loop", image, folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


def differences(contents: Contents, found: dict[str, Seen]) -> list[str]:
    """What the kernel sees otherwise than we read it, in words; times are nought in every layer."""
    wanted = contents.entries | contents.hidden
    words = [f"{path!r} is in one alone" for path in wanted.keys() ^ found.keys()]
    links, inodes = Counter(wanted.values()), dict[Entry, int]()
    for path in wanted.keys() & found.keys():
        entry, it = wanted[path], found[path]
        same = {
            "kind and mode": it.status.st_mode == entry.kind | entry.mode,
            "owner": (it.status.st_uid, it.status.st_gid) == (entry.uid, entry.gid),
            "time": it.status.st_mtime_ns == 0,
            "attributes": _without_overlay(it.xattrs) == _as_told(entry),
            "data": it.data == _data(contents, entry),
            "count of links": entry.folder or it.status.st_nlink == links[entry],
            "inode": entry.folder or inodes.setdefault(entry, it.status.st_ino) == it.status.st_ino,
        }
        words += [f"the {what} of {path!r}" for what, is_same in same.items() if not is_same]
    if len({*inodes.values()}) != len(inodes):
        words.append("two files share an inode")
    return words


def _look(folder: str, name: str) -> Seen:
    path = f"{folder}/{name}"
    status = os.lstat(path)
    names = os.listxattr(path, follow_symlinks=False)
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    if stat.S_ISREG(status.st_mode):
        return Seen(status, xattrs, Path(path).read_bytes())
    if stat.S_ISLNK(status.st_mode):
        return Seen(status, xattrs, os.readlink(os.fsencode(path)))  # noqa: PTH115 (as it is, not as a path)
    return Seen(status, xattrs, status.st_rdev)


def _data(contents: Contents, entry: Entry) -> bytes | int:
    if entry.kind == stat.S_IFREG:
        return contents.open(entry).read() if entry.size else b""
    return os.fsencode(entry.link) if entry.kind == stat.S_IFLNK else 0


def _without_overlay(xattrs: dict[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in xattrs.items() if not name.startswith(OVERLAY)}


def _as_told(entry: Entry) -> dict[str, bytes]:
    """Of capabilities for a user namespace's root the kernel tells that of this one in the older form."""
    value = entry.xattrs.get(CAPABILITY, b"")
    older = {CAPABILITY: value[:3] + b"\2" + value[4:20]} if value[3:4] == b"\3" and not any(value[20:]) else {}
    return {**entry.xattrs, **older}
