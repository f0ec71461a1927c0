"""A cpio archive of the kind the kernel unpacks (kernel docs, driver-api/early-userspace/buffer-format: "newc").

In: nodes by path. Out: bytes that depend on nothing else: sorted, times 0, inode numbers counted from 1. Rules:
folders come before what is in them, missing ones are made (0755, root); files that share one `inode` become hard
links, the data with the first.

    archive({"init": Node(0o100755, data=b"...")})
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

MAGIC = "070701"
ALIGNMENT = 4
TRAILER = "TRAILER!!!"
DEVICE = (0, 0)


@dataclass(frozen=True)
class Node:
    """One file. `mode` holds type and permissions; a symlink's `data` is its target; `inode` is any name. An archive
    has no place for `xattrs`."""

    mode: int
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    inode: str = ""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def archive(nodes: Mapping[str, Node]) -> bytes:
    """The archive of a tree, uncompressed."""
    tree = _with_parents(nodes)
    names: dict[str, list[str]] = {}
    for path in sorted(tree, key=lambda path: PurePosixPath(path).parts):
        names.setdefault(tree[path].inode or f"/{path}", []).append(path)
    output = bytearray()
    for number, (inode, paths) in enumerate(names.items(), start=1):
        del inode
        for index, path in enumerate(paths):
            node = tree[path] if index == 0 else replace(tree[path], data=b"")
            output += entry(path, node, number, len(paths))
    output += entry(TRAILER, Node(0), 0, 1)
    return bytes(output)


def _with_parents(nodes: Mapping[str, Node]) -> dict[str, Node]:
    tree = dict(nodes)
    for path in nodes:
        for parent in list(PurePosixPath(path).parents)[:-1]:
            tree.setdefault(str(parent), Node(stat.S_IFDIR | 0o755))
    return tree


def entry(
    path: str, node: Node, inode: int, links: int, device: tuple[int, int] = DEVICE, size: int | None = None
) -> bytes:
    """One file of an archive. `size`: of data that the caller writes behind it, and fills up to `ALIGNMENT`."""
    name = path.encode(errors="surrogateescape") + b"\0"
    # A folder is named by its parent and by its own `.`.
    links = 2 if stat.S_ISDIR(node.mode) else links
    size = len(node.data) if size is None else size
    # inode, mode, uid, gid, links, time, size, device, special device, length of the name, checksum: 0 for newc.
    numbers = (inode, node.mode, node.uid, node.gid, links, 0, size, *device, *DEVICE, len(name), 0)
    header = (MAGIC + "".join(f"{number:08x}" for number in numbers)).encode() + name
    return _padded(header) + _padded(node.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
