"""Layer tars over each other, without unpacking them: one tree in memory, or single files to disk.

In: layer tars, lowest first. Out: nodes by path, or a file's bytes. Rules: nothing touches a file system; whiteouts
hide what lower layers hold (OCI image spec, "Whiteouts"); links of lower layers are followed by what upper layers put
below them, as engines do; hard links share their inode; what is larger than the bound is refused.
"""

import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gitops.assemble.boot.cpio import Node
from gitops.assemble.tars.names import order
from gitops.assemble.tars.reader import Contents, reading
from gitops.assemble.tars.tree import Entry, Tree
from gitops.errors import AssembleError

MAX_TREE = 512 * 2**20
"""Bytes of file data that a tree in memory may hold: an initrd is a tenth of this."""
KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
IMPLIED = Node(stat.S_IFDIR | 0o755)


def tree_of(layers: Sequence[Path]) -> dict[str, Node]:
    """The tree that the layers make together.

    Raises:
        AssembleError: a layer is damaged, too large, or holds something else than files, folders and links.
    """
    tree, nodes, left = Tree("the image"), dict[Entry, Node](), MAX_TREE
    for index, layer in enumerate(layers):
        with reading(layer) as contents:
            left -= sum(entry.size for entry in set(contents.entries.values()))
            if left < 0:
                raise AssembleError(f"{layer.name}: the tree is larger than {MAX_TREE >> 20} MiB")
            _hide(tree, contents)
            for path in sorted(contents.entries, key=order):
                entry = contents.entries[path]
                if entry.implied:
                    tree.folder(path)
                else:
                    nodes.setdefault(entry, _node(contents, index, path, entry))
                    tree.put(path, entry)
    return {path: nodes.get(entry, IMPLIED) for path, entry in tree.entries.items() if path}


def entries_of(layers: Sequence[Path]) -> dict[str, Entry]:
    """What is at each path of the tree that the layers make together, without any bytes.

    Raises:
        AssembleError: a layer is damaged.
    """
    tree = Tree("the image")
    for layer in layers:
        with reading(layer) as contents:
            _hide(tree, contents)
            for path in sorted(contents.entries, key=order):
                entry = contents.entries[path]
                if entry.implied:
                    tree.folder(path)
                else:
                    tree.put(path, replace(entry, xattrs={}, source=None))
    return tree.entries


def extract(layers: Sequence[Path], name: str, target: Path) -> bool:
    """Write the file `name` as the topmost layer has it to `target`. False: no layer has it, or one hides it."""
    for layer in reversed(layers):
        with reading(layer) as contents:
            entry = contents.entries.get(name)
            if entry and entry.kind == stat.S_IFREG:
                with target.open("wb") as output:
                    if entry.size:
                        shutil.copyfileobj(contents.open(entry), output, 1 << 20)
                return True
            if entry or contents.hides(name):
                return False
    return False


def files_of(tar: Path) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every regular file of one tar, sorted."""
    with reading(tar) as contents:
        for path in sorted(contents.entries, key=order):
            entry = contents.entries[path]
            if entry.kind == stat.S_IFREG:
                yield path, contents.open(entry).read()


def folder_for_link(tar: Path, others: Sequence[Path]) -> str:
    """The first path that is a folder in `tar` and a link in one of the others; empty when there is none."""
    with reading(tar) as contents:
        folders = {path for path, entry in contents.entries.items() if entry.folder}
    for other in others:
        with reading(other) as contents:
            links = {path for path in folders & contents.entries.keys() if contents.entries[path].kind == stat.S_IFLNK}
            if links:
                return min(links)
    return ""


def _hide(tree: Tree, contents: Contents) -> None:
    for path in contents.hidden:
        tree.remove(tree.real(path))
    for path in contents.opaque:
        tree.remove(path and tree.real(path), inside=True)


def _node(contents: Contents, index: int, path: str, entry: Entry) -> Node:
    if entry.kind not in KINDS:
        raise AssembleError(f"{contents.name}: {path} is neither a file, a folder nor a link")
    data = entry.link.encode(errors="surrogateescape")
    if entry.kind == stat.S_IFREG:
        data = contents.open(entry).read()
    inode = f"{index}/{path}" if entry.kind == stat.S_IFREG else ""
    return Node(entry.kind | entry.mode, entry.uid, entry.gid, data, inode, entry.xattrs)
