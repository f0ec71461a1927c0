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
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from gitops.assemble.boot.cpio import Node
from gitops.assemble.root.tree import Root, TreeEntry, layout, tar_info
from gitops.assemble.tars import tree_of
from gitops.assemble.tars.names import clean
from gitops.assemble.tars.tree import Entry, Tree
from gitops.errors import AssembleError
from gitops.model import Spec
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
LEFT_OUT = frozenset((".dockerenv", "Dockerfile", "dev/console", "etc/hostname"))

FURNITURE = {
    **dict.fromkeys(("dev", "dev/pts", "dev/shm", "etc", "proc", "sys"), Node(stat.S_IFDIR | 0o755)),
    "etc/hosts": Node(stat.S_IFREG | 0o755),
    "etc/mtab": Node(stat.S_IFLNK | 0o777, data=b"/proc/mounts"),
    "etc/resolv.conf": Node(stat.S_IFREG | 0o755),
}
"""What Docker puts into every container, where the image has nothing of that name."""

Item = tuple[tarfile.TarInfo, bytes]


def write(spec: Spec, images: OciLayout, output: BinaryIO) -> None:
    """Write the tar.

    Raises:
        AssembleError: an image is missing, damaged, or lacks what the spec wants of it.
    """
    for info, data in _items(spec, images):
        output.write(_header(info))
        output.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    output.write(bytes(2 * tarfile.BLOCKSIZE))


def _items(spec: Spec, images: OciLayout) -> Iterator[Item]:
    inits = [_tree(images, name) for name in spec.init]
    if spec.kernel:
        yield from _kernel(spec, _tree(images, spec.kernel), _links(inits))
    for tree in inits:
        yield from _image(tree, "", RESOLV_LINK)
    for item in layout(spec, images.images(container.image for container in spec.containers())):
        if isinstance(item, Root):
            yield from _image(_tree(images, item.image), f"{item.path}/", "")
        else:
            yield tar_info(item), item.data


def _tree(images: OciLayout, name: str) -> dict[str, Node]:
    """The files of an image, by path."""
    with tempfile.TemporaryDirectory(prefix="toweros-layers-") as scratch:
        return tree_of(images.layers(name, Path(scratch)))


def _links(inits: Iterable[Mapping[str, Node]]) -> Tree:
    """Where the links of the init images lead: /lib is one in many, and the kernel's modules are below it."""
    tree = Tree("the init images")
    for path, node in (item for nodes in inits for item in sorted(nodes.items())):
        kind = stat.S_IFMT(node.mode)
        tree.put(path, Entry(kind, link=os.fsdecode(node.data) if kind == stat.S_IFLNK else ""))
    return tree


def _kernel(spec: Spec, tree: Mapping[str, Node], links: Tree) -> Iterator[Item]:
    """/boot: microcode, command line, kernel; then what the kernel's tar holds, where the init images' links lead."""

    def node(name: str) -> Node:
        if name not in tree:
            raise AssembleError(f"{spec.kernel} holds no {name}", hint="name the kernel's files in `kernel:`")
        return tree[name]

    yield tar_info(TreeEntry("boot", "dir", 0o755)), b""
    if spec.kernel_ucode:
        yield _item("boot/ucode.cpio", node(spec.kernel_ucode))
    cmdline = TreeEntry("boot/cmdline", "file", 0o644, data=spec.cmdline.encode())
    yield tar_info(cmdline), cmdline.data
    yield _item("boot/kernel", node(spec.kernel_binary or "kernel"))
    if spec.kernel_tar != "none":
        with tarfile.open(fileobj=io.BytesIO(node(spec.kernel_tar or "kernel.tar").data)) as archive:
            for info in archive:
                handle = archive.extractfile(info) if info.isreg() else None
                path = links.real(clean("the kernel's tar", info.name))
                existing = links.entries.get(path)
                if not (info.isdir() and existing and existing.kind == stat.S_IFLNK):
                    info.name = path
                    yield info, handle.read() if handle else b""


def _image(tree: Mapping[str, Node], prefix: str, resolv: str) -> Iterator[Item]:
    """An image's root below `prefix`; `resolv`: where /etc/resolv.conf leads to, if it is to be a link."""
    resolv_conf = Node(stat.S_IFLNK, data=resolv.encode()) if resolv else Node(stat.S_IFREG, data=NO_RESOLV)
    fixed = {"etc/hosts": Node(stat.S_IFREG, data=HOSTS), "etc/resolv.conf": resolv_conf}
    first: dict[str, str] = {}
    for path, node in sorted(_furnished(tree).items(), key=lambda item: item[0].split("/")):
        info, data = _item(prefix + path, fixed.get(path, node))
        if path in fixed:
            info.mode = stat.S_IFREG | stat.S_IMODE(node.mode)
        elif node.inode and first.setdefault(node.inode, info.name) != info.name:
            info.type, info.linkname, info.size, data = tarfile.LNKTYPE, first[node.inode], 0, b""
        yield info, data
    for path, node in fixed.items():
        info, data = _item(prefix + path, node)
        info.mode = 0o644
        yield info, data


def _furnished(tree: Mapping[str, Node]) -> dict[str, Node]:
    """An image's tree as Docker exports it, with all parents and mount points, less what LinuxKit leaves out."""
    folders = {path[:index]: FURNITURE["dev"] for path in tree for index, char in enumerate(path) if char == "/"}
    return {path: node for path, node in {**folders, **FURNITURE, **tree}.items() if path not in LEFT_OUT}


def _item(path: str, node: Node) -> Item:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = node.mode, node.uid, node.gid
    if stat.S_ISLNK(node.mode):
        info.type, info.linkname = tarfile.SYMTYPE, node.data.decode()
        return info, b""
    if stat.S_ISDIR(node.mode):
        info.type = tarfile.DIRTYPE
        return info, b""
    info.size = len(node.data)
    return info, node.data


def _header(info: tarfile.TarInfo) -> bytes:
    """A pax header whose mode keeps the file type, which tarfile cuts off (ustar: mode at 100, checksum at 148)."""
    header = bytearray(info.tobuf(tarfile.PAX_FORMAT))
    block = header[-tarfile.BLOCKSIZE :]
    block[100:108] = b"%07o\0" % info.mode
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(header[: -tarfile.BLOCKSIZE] + block)
