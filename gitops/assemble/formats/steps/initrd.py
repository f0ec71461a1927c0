"""The root as an initrd: parts of one cpio archive, each compressed alone, one after the other.

In: tars of the root's pieces. Out: gzip, as LinuxKit has it (RFC 1952: members that follow each other are one stream;
the kernel reads them so, and takes the last of two entries of one path). Rules: file capabilities have no place in it,
and the log says which were lost; hard links are hard links: their inode
is counted inside of a piece, and the piece's key is the device, so that no two pieces share one; a folder comes before
what is in it, wherever its tar has it: init images share /etc, and the kernel drops files that have no folder yet.

    part(Path("piece.tar"), piece, target)
"""

import io
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gitops.assemble.boot.cpio import ALIGNMENT, TRAILER, Node, entry
from gitops.assemble.formats.tar import END, Piece, write_items
from gitops.assemble.formats.work import CAPABILITY, Work, tell_lost
from gitops.assemble.root.tree import TreeEntry, tar_info
from gitops.assemble.tars.attributes import XATTR

TYPES = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}
LEVEL = 4
GZIP = 16 + zlib.MAX_WBITS
CHUNK = 1 << 20
MEMBERS = (("kernel", "kernel"), ("initrd.img", "initrd"), ("cmdline", "cmdline"), ("ucode.cpio", "ucode.cpio"))


def part(tar: Path, piece: Piece, target: Path) -> None:
    """The part of an initrd that a piece is."""
    with target.open("wb") as output:
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        # A piece may hold nothing, which is no tar.
        for chunk in _entries(tar, piece) if tar.stat().st_size else ():
            output.write(packer.compress(chunk))
        output.write(packer.flush())


def joined(work: Work) -> None:
    """The whole initrd."""
    with work.target.open("wb") as output:
        for path in work.inputs["cpios"]:
            _copy(path, output)
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        output.write(packer.compress(entry(TRAILER, Node(0), 0, 1)) + packer.flush())
        output.write(bytes(-output.tell() % ALIGNMENT))


def with_microcode(work: Work) -> None:
    """The same behind the processors' microcode: the kernel looks for an archive that is not compressed, first."""
    if not work.file("ucode.cpio").stat().st_size:
        work.target.hardlink_to(work.file("initrd"))
        return
    with work.target.open("wb") as output:
        _copy(work.file("ucode.cpio"), output)
        output.write(bytes(-output.tell() % ALIGNMENT))
        _copy(work.file("initrd"), output)


def as_tar(work: Work) -> None:
    """Kernel, initrd, command line, microcode as members of a tar; what is empty is left out."""
    with work.target.open("wb") as output:
        for name, need in MEMBERS:
            data = work.read(need)
            if data:
                write_items([(tar_info(TreeEntry(name, "file", 0o644, data=data)), data)], output)
        output.write(END)


def _entries(tar: Path, piece: Piece) -> Iterator[bytes]:
    """A piece as entries of a cpio archive, in pieces of bytes."""
    device = (int(piece.key[:8], 16), int(piece.key[8:16], 16))
    with tarfile.open(tar, "r:") as archive:
        members = archive.getmembers()
        last = {info.name: info for info in members}
        members = [info for info in members if info is last[info.name]]
        tell_lost("initrd", [info.name for info in members if XATTR + CAPABILITY in info.pax_headers])
        links: dict[str, list[str]] = {}
        for info in members:
            links.setdefault(info.linkname if info.islnk() else info.name, []).append(info.name)
        numbers = {name: number for number, name in enumerate(links, start=1)}
        written: set[str] = set()
        for info in members:
            # The kernel drops what comes before its folder, and of two entries of a folder the last is kept here.
            for folder in _parents(info.name):
                known = last.get(folder)
                if folder in written or not (known.isdir() if known else piece.kind == "base"):
                    continue
                written.add(folder)
                mode, owner = (known.mode, (known.uid, known.gid)) if known else (0o755, (0, 0))
                yield entry(folder, Node(stat.S_IFDIR | stat.S_IMODE(mode), *owner), numbers.get(folder, 0), 2, device)
            if info.name in written:
                continue
            written.add(info.name)
            inode = info.linkname if info.islnk() else info.name
            number, count = numbers[inode], len(links[inode])
            yield from _entry(archive, info, last.get(inode, info), number, count, device)


def _entry(
    archive: tarfile.TarFile,
    info: tarfile.TarInfo,
    owner: tarfile.TarInfo,
    number: int,
    links: int,
    device: tuple[int, int],
) -> Iterator[bytes]:
    mode = TYPES.get(info.type, stat.S_IFREG) | stat.S_IMODE(owner.mode)
    data = info.linkname.encode(errors="surrogateescape") if info.issym() else b""
    size = info.size if info.isreg() else len(data)
    yield entry(info.name, Node(mode, owner.uid, owner.gid, data), number, links, device, size)
    if info.isreg() and info.size:
        stream = archive.extractfile(info) or io.BytesIO()
        while chunk := stream.read(CHUNK):
            yield chunk
        yield bytes(-size % ALIGNMENT)


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def _copy(path: Path, output: BinaryIO) -> None:
    with path.open("rb") as stream:
        shutil.copyfileobj(stream, output, CHUNK)
