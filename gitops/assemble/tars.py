"""Reading layer tars without unpacking them: one tree in memory, or single files to disk.

In: layer tars, lowest first. Out: nodes by path, or a file's bytes. Rules: members are read one by one and nothing
touches a file system; whiteouts hide what lower layers hold (OCI image spec, "Whiteouts"); hard links share their
inode; what is larger than the bound is refused.
"""

import shutil
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from gitops.assemble.boot.cpio import Node
from gitops.errors import AssembleError

MAX_TREE = 512 * 2**20
"""Bytes of file data that a tree in memory may hold: an initrd is a tenth of this."""
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
}


def tree_of(layers: Sequence[Path]) -> dict[str, Node]:
    """The tree that the layers make together.

    Raises:
        AssembleError: a layer is damaged, too large, or holds something else than files, folders and links.
    """
    tree: dict[str, Node] = {}
    for index, layer in enumerate(layers):
        with _open(layer) as archive:
            members = [(_clean(layer, member.name), member) for member in archive]
            # First, wherever they stand in the tar: whiteouts apply to lower layers only (OCI image spec).
            _hide(tree, [path for path, _ in members])
            for path, member in members:
                if path and not PurePosixPath(path).name.startswith(WHITEOUT):
                    _put(tree, path, _node(archive, layer, index, path, member, tree))
        if sum(len(node.data) for node in tree.values()) > MAX_TREE:
            raise AssembleError(f"{layer.name}: the tree is larger than {MAX_TREE >> 20} MiB")
    return tree


def extract(layers: Sequence[Path], name: str, target: Path) -> bool:
    """Write the file `name` of the topmost layer that has it to `target`. False: no layer has it."""
    for layer in reversed(layers):
        with _open(layer) as archive:
            for member in archive:
                content = archive.extractfile(member) if _clean(layer, member.name) == name and member.isreg() else None
                if content:
                    with target.open("wb") as output:
                        shutil.copyfileobj(content, output, 1 << 20)
                    return True
    return False


def files_of(tar: Path) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every regular file of one tar, in its order."""
    with _open(tar) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content:
                yield _clean(tar, member.name), content.read()


class _open:  # noqa: N801 - used as a context manager alone
    """A tar being read: every way in which it can be damaged ends in one error."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> tarfile.TarFile:
        try:
            self._archive = tarfile.open(self._path, "r:")
        except (tarfile.TarError, OSError) as error:
            raise AssembleError(f"{self._path.name} is not a whole tar: {error}") from error
        return self._archive

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._archive.close()
        if isinstance(error, (tarfile.TarError, OSError, KeyError, EOFError)):
            raise AssembleError(f"{self._path.name} is not a whole tar: {error}") from error


def _clean(layer: Path, name: str) -> str:
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    if ".." in parts or name.startswith("/"):
        raise AssembleError(f"{layer.name}: the path {name!r} leaves the layer")
    return "/".join(parts)


def _node(
    archive: tarfile.TarFile, layer: Path, index: int, path: str, member: tarfile.TarInfo, tree: dict[str, Node]
) -> Node:
    if member.islnk():
        # tar(5): what a hard link names comes before it.
        target = tree.get(_clean(layer, member.linkname))
        if target is None or not stat.S_ISREG(target.mode):
            raise AssembleError(f"{layer.name}: {path} is a hard link to nothing")
        return target
    if member.type not in KINDS:
        raise AssembleError(f"{layer.name}: {path} is neither a file, a folder nor a link")
    data = member.linkname.encode() if member.issym() else b""
    if member.isreg():
        content = archive.extractfile(member)
        data = content.read() if content else b""
    inode = f"{index}/{path}" if member.isreg() else ""
    return Node(KINDS[member.type] | (member.mode & 0o7777), member.uid, member.gid, data, inode)


def _put(tree: dict[str, Node], path: str, node: Node) -> None:
    """A folder that becomes something else takes with it what was in it."""
    before = tree.get(path)
    if before and stat.S_ISDIR(before.mode) and not stat.S_ISDIR(node.mode):
        _remove(tree, path)
    tree[path] = node


def _hide(tree: dict[str, Node], paths: Sequence[str]) -> None:
    for path in map(PurePosixPath, paths):
        if path.name == OPAQUE:
            _remove(tree, str(path.parent), inside=True)
        elif path.name.startswith(WHITEOUT):
            _remove(tree, str(path.with_name(path.name.removeprefix(WHITEOUT))))


def _remove(tree: dict[str, Node], path: str, *, inside: bool = False) -> None:
    prefix = "" if path == "." else f"{path}/"
    for name in [name for name in tree if name.startswith(prefix) or (name == path and not inside)]:
        del tree[name]
