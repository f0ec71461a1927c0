"""A tar that every reader understands alike, of what was read from another.

In: `Contents`. Out: a POSIX.1-2001 tar: sorted, each path once, the root and all parents included, times 0, no users'
names, the first path of an inode as the file and the others as links to it, holes as zeros.
"""

import io
import stat
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from gitops.assemble.tars.attributes import XATTR
from gitops.assemble.tars.names import WHITEOUT, base, beside, order
from gitops.assemble.tars.reader import OPAQUE, Contents
from gitops.assemble.tars.tree import Entry

TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.REGTYPE,
}
"""S_IFCHR: a whiteout, which in a tar is an empty file."""


def write(contents: Contents, output: BinaryIO) -> None:
    """Write the tar.

    Raises:
        AssembleError: the tar that was read is not whole.
    """
    first: dict[Entry, str] = {}
    with tarfile.open(
        fileobj=output, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for path, entry in _all(contents):
            info = _info(path, entry)
            if not entry.folder and first.setdefault(entry, path) != path:
                info.type, info.linkname, info.size, info.pax_headers = tarfile.LNKTYPE, first[entry], 0, {}
            archive.addfile(info, contents.open(entry) if info.size else io.BytesIO())
            # Python keeps every member that it wrote.
            archive.members = []  # type: ignore[attr-defined]


def _all(contents: Contents) -> Iterator[tuple[str, Entry]]:
    marks = {beside(path, WHITEOUT + base(path)): mark for path, mark in contents.hidden.items()}
    marks |= {f"{path}/{OPAQUE}".lstrip("/"): Entry(stat.S_IFCHR, 0) for path in contents.opaque}
    everything = contents.entries | marks
    for path in sorted(everything, key=order):
        yield path, everything[path]


def _info(path: str, entry: Entry) -> tarfile.TarInfo:
    # The root has to be there: without it mkfs.erofs makes it 0777, which sshd refuses.
    info = tarfile.TarInfo(path or "./")
    info.type, info.mode, info.uid, info.gid = TYPES[entry.kind], entry.mode, entry.uid, entry.gid
    info.size, info.linkname = entry.size, entry.link
    info.pax_headers = {XATTR + key: value.decode(errors="surrogateescape") for key, value in entry.xattrs.items()}
    return info
