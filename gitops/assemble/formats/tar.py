"""`assemble --format tar`: LinuxKit's whole root as one tar, as `linuxkit build --format tar` writes it.

In: a `Spec` and an OCI layout with its images. Out: the tar, in LinuxKit's order: kernel, init images, volumes,
containers, files. Images' roots look as LinuxKit takes them from Docker: sorted, with the file type in the mode, with
the mount points that Docker makes; /etc/hosts and /etc/resolv.conf are LinuxKit's own, /etc/hostname is left out.

    write(spec, OciLayout(Path("images")), output)
"""

import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gitops.assemble.boot.cpio import Node
from gitops.assemble.root.tree import Root, TreeEntry, layout, tar_info
from gitops.assemble.tars import tree_of
from gitops.assemble.tars.attributes import XATTR
from gitops.assemble.tars.names import clean
from gitops.assemble.tars.tree import Entry, Tree
from gitops.errors import AssembleError
from gitops.model import Spec, canonical, sha256
from gitops.oci.layout import OciLayout

HOSTS = b"""127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
NO_RESOLV = b"\n# no resolv.conf configured\n"
RESOLV_LINK = "/run/resolvconf/resolv.conf"
END = bytes(2 * tarfile.BLOCKSIZE)
RECIPE = 3
"""The number of these rules: what other rules made is made again."""
MERGED, PLAIN = "usr/lib/modules", "lib/modules"
"""Where Debian's kernels have their modules, and where every modprobe looks."""
LEFT_OUT = frozenset((".dockerenv", "Dockerfile", "dev/console", "etc/hostname"))

FURNITURE = {
    **dict.fromkeys(("dev", "dev/pts", "dev/shm", "etc", "proc", "sys"), Node(stat.S_IFDIR | 0o755)),
    "etc/hosts": Node(stat.S_IFREG | 0o755),
    "etc/mtab": Node(stat.S_IFLNK | 0o777, data=b"/proc/mounts"),
    "etc/resolv.conf": Node(stat.S_IFREG | 0o755),
}
"""What Docker puts into every container, where the image has nothing of that name."""

Item = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True)
class Piece:
    """A part of the root that is made alone. `key` is a hash that names its content; `kind`: `boot` (all of /boot),
    `base` (modules and init: folders may be missing), `root` of an image, `entries` between them."""

    key: str
    items: Callable[[], Iterable[Item]]
    kind: str


def write(spec: Spec, images: OciLayout, output: BinaryIO) -> None:
    """Write the tar.

    Raises:
        AssembleError: an image is missing, damaged, or lacks what the spec wants of it.
    """
    for piece in pieces(spec, images):
        write_items(piece.items(), output)
    output.write(END)


def write_tree(tree: Mapping[str, Node], output: BinaryIO) -> None:
    """An image's files as one tar, as they are: hard links are links, folders come before what is in them."""
    write_items(_linked(sorted(tree.items(), key=lambda item: item[0].split("/")), ""), output)
    output.write(END)


def write_items(items: Iterable[Item], output: BinaryIO) -> None:
    """Members of a tar, without its end."""
    for info, data in items:
        output.write(header(info))
        output.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))


def pieces(spec: Spec, images: OciLayout) -> Iterator[Piece]:
    """The root in LinuxKit's order: /boot, modules and init, then every image's root, and what is between them.

    Raises:
        AssembleError: an image is missing, or says something that cannot be carried out.
    """
    if spec.kernel:
        yield _boot(spec, images)
    if spec.kernel or spec.init:
        yield _base(spec, images)
    between: list[TreeEntry] = []
    for item in layout(spec, images.images(container.image for container in spec.containers())):
        if isinstance(item, TreeEntry):
            between.append(item)
            continue
        yield from _entries(between)
        between = []
        yield _root(images, item)
    yield from _entries(between)


def _key(kind: str, *words: str) -> str:
    return sha256(canonical([RECIPE, kind, *words]))


def _boot(spec: Spec, images: OciLayout) -> Piece:
    words = (images.digest(spec.kernel), spec.kernel_binary, spec.kernel_ucode, spec.cmdline)
    return Piece(_key("boot", *words), lambda: _boot_files(spec, _tree(images, spec.kernel)), "boot")


def _base(spec: Spec, images: OciLayout) -> Piece:
    kernel = images.digest(spec.kernel) if spec.kernel else ""
    key = _key("base", kernel, spec.kernel_tar, *map(images.digest, spec.init))

    def items() -> Iterator[Item]:
        inits = [_tree(images, name) for name in spec.init]
        if spec.kernel and spec.kernel_tar != "none":
            yield from _modules(spec, _tree(images, spec.kernel), _links(inits))
        for tree in inits:
            yield from _image(tree, "", RESOLV_LINK)

    return Piece(key, items, "base")


def _root(images: OciLayout, root: Root) -> Piece:
    key = _key("root", images.digest(root.image), root.path)
    return Piece(key, lambda: _image(_tree(images, root.image), f"{root.path}/", ""), "root")


def _entries(entries: Sequence[TreeEntry]) -> Iterator[Piece]:
    if entries:
        items = [(tar_info(entry), entry.data) for entry in entries]
        output = io.BytesIO()
        write_items(items, output)
        yield Piece(_key("entries", sha256(output.getvalue())), lambda: items, "entries")


def _tree(images: OciLayout, name: str) -> dict[str, Node]:
    """The files of an image, by path."""
    with tempfile.TemporaryDirectory(prefix="toweros-layers-") as scratch:
        return tree_of(images.readable(name, Path(scratch)))


def _links(inits: Iterable[Mapping[str, Node]]) -> Tree:
    """Where the links of the init images lead: /lib is one in many, and the kernel's modules are below it."""
    tree = Tree("the init images")
    for path, node in (item for nodes in inits for item in sorted(nodes.items())):
        kind = stat.S_IFMT(node.mode)
        tree.put(path, Entry(kind, link=os.fsdecode(node.data) if kind == stat.S_IFLNK else ""))
    return tree


def _named(spec: Spec, tree: Mapping[str, Node], name: str) -> Node:
    if name not in tree:
        raise AssembleError(f"{spec.kernel} holds no {name}", hint="name the kernel's files in `kernel:`")
    return tree[name]


def _boot_files(spec: Spec, tree: Mapping[str, Node]) -> Iterator[Item]:
    """/boot: microcode, command line, kernel."""
    yield tar_info(TreeEntry("boot", "dir", 0o755)), b""
    if spec.kernel_ucode:
        yield _item("boot/ucode.cpio", _named(spec, tree, spec.kernel_ucode))
    cmdline = TreeEntry("boot/cmdline", "file", 0o644, data=spec.cmdline.encode())
    yield tar_info(cmdline), cmdline.data
    yield _item("boot/kernel", _named(spec, tree, spec.kernel_binary or "kernel"))


def _modules(spec: Spec, tree: Mapping[str, Node], links: Tree) -> Iterator[Item]:
    """What the kernel's tar holds, where the init images' links lead, and where their modprobe looks."""
    data = _named(spec, tree, spec.kernel_tar or "kernel.tar").data
    lib = links.entries.get("lib")
    apart = lib is not None and lib.kind == stat.S_IFDIR
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for info in archive:
            handle = archive.extractfile(info) if info.isreg() else None
            path = links.real(clean("the kernel's tar", info.name))
            if apart and f"{path}/".startswith(f"{MERGED}/"):
                path = PLAIN + path.removeprefix(MERGED)
            existing = links.entries.get(path)
            if not (info.isdir() and existing and existing.kind == stat.S_IFLNK):
                info.name = path
                yield info, handle.read() if handle else b""


def _image(tree: Mapping[str, Node], prefix: str, resolv: str) -> Iterator[Item]:
    """An image's root below `prefix`; `resolv`: where /etc/resolv.conf leads to, if it is to be a link."""
    resolv_conf = Node(stat.S_IFLNK, data=resolv.encode()) if resolv else Node(stat.S_IFREG, data=NO_RESOLV)
    fixed = {"etc/hosts": Node(stat.S_IFREG, data=HOSTS), "etc/resolv.conf": resolv_conf}
    nodes = sorted(_furnished(tree).items(), key=lambda item: item[0].split("/"))
    for info, data in _linked(((path, fixed.get(path, node)) for path, node in nodes), prefix):
        path = info.name.removeprefix(prefix)
        if path in fixed:
            info.mode = stat.S_IFREG | stat.S_IMODE(tree[path].mode if path in tree else FURNITURE[path].mode)
        yield info, data
    for path, node in fixed.items():
        info, data = _item(prefix + path, node)
        info.mode = 0o644
        yield info, data


def _linked(nodes: Iterable[tuple[str, Node]], prefix: str) -> Iterator[Item]:
    """Members of a tar below `prefix`; what has been before by another name is a hard link."""
    first: dict[str, str] = {}
    for path, node in nodes:
        info, data = _item(prefix + path, node)
        if node.inode and first.setdefault(node.inode, info.name) != info.name:
            info.type, info.linkname, info.size, data = tarfile.LNKTYPE, first[node.inode], 0, b""
            info.pax_headers = {}
        yield info, data


def _furnished(tree: Mapping[str, Node]) -> dict[str, Node]:
    """An image's tree as Docker exports it, with all parents and mount points, less what LinuxKit leaves out."""
    folders = {path[:index]: FURNITURE["dev"] for path in tree for index, char in enumerate(path) if char == "/"}
    return {path: node for path, node in {**folders, **FURNITURE, **tree}.items() if path not in LEFT_OUT}


def _item(path: str, node: Node) -> Item:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = node.mode, node.uid, node.gid
    info.pax_headers = {XATTR + key: value.decode(errors="surrogateescape") for key, value in node.xattrs.items()}
    if stat.S_ISLNK(node.mode):
        info.type, info.linkname = tarfile.SYMTYPE, node.data.decode()
        return info, b""
    if stat.S_ISDIR(node.mode):
        info.type = tarfile.DIRTYPE
        return info, b""
    info.size = len(node.data)
    return info, node.data


def header(info: tarfile.TarInfo) -> bytes:
    """A pax header whose mode keeps the file type, which tarfile cuts off (ustar: mode at 100, checksum at 148)."""
    header = bytearray(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    block = header[-tarfile.BLOCKSIZE :]
    block[100:108] = b"%07o\0" % info.mode
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(header[: -tarfile.BLOCKSIZE] + block)
