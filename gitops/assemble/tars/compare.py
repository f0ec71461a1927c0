"""Whether an image holds what was read from its tar: kinds, permissions, owners, links, attributes, every byte.

In: `Contents`, an EROFS image. Out: nothing, or an error that names the first path that differs. mkfs.erofs once lost
files and said nothing; what it makes is not believed, it is read.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gitops.assemble.tars.erofs import Image, Node
from gitops.assemble.tars.reader import Contents
from gitops.assemble.tars.tree import Entry
from gitops.errors import AssembleError

OPAQUE_XATTR = {"trusted.overlay.opaque": b"y"}
"""How overlayfs knows a folder that hides all below it (kernel docs, filesystems/overlayfs)."""
ORIGIN_XATTR = {"trusted.overlay.origin": b""}
"""What mkfs.erofs gives to a folder with whiteouts, so that overlayfs looks for them when it lists the folder."""


def check_image(contents: Contents, file: Path) -> None:
    """Raises AssembleError: the image is not what the tar was."""
    with Image(file) as image:
        nodes = image.nodes()
        wanted = contents.entries | contents.hidden
        for path in sorted(wanted.keys() ^ nodes.keys()):
            raise AssembleError(f"{contents.name}: /{path} is in {'the tar' if path in wanted else 'the image'} alone")
        inodes: dict[Entry, int] = {}
        for path, entry in wanted.items():
            node = nodes[path]
            same = not entry.folder and inodes.get(entry) == node.number
            if not same and (difference := _difference(contents, path, entry, image, node)):
                raise AssembleError(f"{contents.name}: the {difference} of /{path} is another in the image")
            if inodes.setdefault(entry, node.number) != node.number:
                raise AssembleError(f"{contents.name}: /{path} is no hard link in the image")
        if len(set(inodes.values())) != len(inodes):
            raise AssembleError(f"{contents.name}: files that are not one share an inode in the image")


def _difference(contents: Contents, path: str, entry: Entry, image: Image, node: Node) -> str:
    same = {
        "kind": node.kind == entry.kind,
        "owner or mode": (node.mode, node.uid, node.gid) == (entry.mode, entry.uid, entry.gid),
        "attributes": node.xattrs == dict(entry.xattrs) | _overlay(contents, path),
    }
    different = [what for what, is_same in same.items() if not is_same]
    return different[0] if different else _other_data(contents, entry, image, node)


def _other_data(contents: Contents, entry: Entry, image: Image, node: Node) -> str:
    if entry.kind == stat.S_IFCHR:
        return "whiteout" if node.raw else ""
    if entry.kind == stat.S_IFLNK:
        return "" if b"".join(image.pieces(node)) == os.fsencode(entry.link) else "target"
    if entry.kind == stat.S_IFREG:
        return "" if node.size == entry.size and _same_bytes(contents, entry, image.pieces(node)) else "content"
    return ""


def _overlay(contents: Contents, path: str) -> dict[str, bytes]:
    marks = OPAQUE_XATTR if path in contents.opaque else {}
    return marks | (ORIGIN_XATTR if path in contents.marked else {})


def _same_bytes(contents: Contents, entry: Entry, pieces: Iterator[bytes]) -> bool:
    if not entry.size:
        return True
    with contents.open(entry) as stream:
        return all(stream.read(len(piece)) == piece for piece in pieces)
