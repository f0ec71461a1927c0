"""The root as one file: a tar, Docker's context, an image of a file system; and what lies in /boot.

In: tars of the root's pieces. Out: files. Rules: what becomes a file system is merged first, by our own reading of
tars: squashfs-tools keep the first of two entries, mkfs.erofs the last, and only the last is what LinuxKit's tar means.
"""

import os
import shutil
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from gitops.assemble.formats.tar import END, write_items
from gitops.assemble.formats.work import CAPABILITY, EPOCH, Work, tell_lost
from gitops.assemble.root.tree import TreeEntry, tar_info
from gitops.assemble.tars.canonical import write
from gitops.assemble.tars.names import order
from gitops.assemble.tars.reader import Contents, reading
from gitops.assemble.tars.tree import Entry
from gitops.errors import AssembleError

DOCKERFILE = b"""FROM scratch
COPY . ./
RUN rm -f Dockerfile
ENTRYPOINT ["/sbin/tini", "--", "/bin/rc.init"]
"""
"""LinuxKit's, word for word: `docker build - < NAME.docker`."""
EROFS_UUID = "4c696e75-784b-5974-8e31-6572656c6179"
VOLUME = "LinuxKit"


def tar(work: Work) -> None:
    """LinuxKit's tar."""
    with work.target.open("wb") as output:
        _joined(work, "tars", output)
        output.write(END)


def docker(work: Work) -> None:
    """The same with a Dockerfile."""
    with work.target.open("wb") as output:
        _joined(work, "tars", output)
        entry = TreeEntry("Dockerfile", "file", 0o644, data=DOCKERFILE)
        write_items([(tar_info(entry), entry.data)], output)
        output.write(END)


def kernel(work: Work) -> None:
    """boot/kernel."""
    work.target.write_bytes(_member(work, "boot/kernel"))


def cmdline(work: Work) -> None:
    """boot/cmdline."""
    work.target.write_bytes(_member(work, "boot/cmdline"))


def ucode(work: Work) -> None:
    """boot/ucode.cpio, or nothing."""
    work.target.write_bytes(_member(work, "boot/ucode.cpio"))


def merged(work: Work) -> None:
    """The root without /boot, each path once, as every reader of tars understands it."""
    joined = work.target.with_name("joined.tar")
    with joined.open("wb") as output:
        _joined(work, "root", output)
        output.write(END)
    with reading(joined) as contents, work.target.open("wb") as output:
        write(contents, output)
    joined.unlink()


def squashfs(work: Work) -> None:
    """By mksquashfs, with what it takes by default."""
    with work.tools().workspace() as inside:
        with reading(work.file("merged.tar")) as contents:
            unpack(contents, inside.path("root"))
        times = ["-mkfs-time", str(EPOCH), "-all-time", str(EPOCH)]
        options = ["-reproducible", "-no-progress", "-quiet", *times]
        inside.run(["mksquashfs", "root", "root.img", *options], timeout=3600)
        _leave(inside.path("root.img"), work.target)


def erofs(work: Work) -> None:
    """By mkfs.erofs, not compressed."""
    with work.tools().workspace() as inside:
        inside.take(work.file("merged.tar"), "root.tar")
        inside.run(
            ["mkfs.erofs", "--quiet", "--tar=f", f"-T{EPOCH}", "--all-time", f"-U{EROFS_UUID}", "root.img", "root.tar"]
        )
        _leave(inside.path("root.img"), work.target)


def iso(work: Work) -> None:
    """The root as an ISO 9660 file system with Rock Ridge and Joliet, not bootable by itself."""
    with work.tools().workspace() as inside:
        with reading(work.file("merged.tar")) as contents:
            tell_lost("iso", [path for path, entry in contents.entries.items() if CAPABILITY in entry.xattrs])
            unpack(contents, inside.path("root"))
        options = ["-quiet", "-l", "-J", "-joliet-long", "-R", "-V", VOLUME, "-o", "root.iso"]
        inside.run(["env", f"SOURCE_DATE_EPOCH={EPOCH}", "xorriso", "-as", "mkisofs", *options, "root"])
        _leave(inside.path("root.iso"), work.target)


def unpack(contents: Contents, folder: Path) -> None:
    """What a tar holds as files. Paths of a `Contents` lead through folders alone, never through links."""
    first: dict[Entry, Path] = {}
    folders = []
    for path in sorted(contents.entries, key=order):
        entry, place = contents.entries[path], folder / path if path else folder
        if not entry.folder and first.setdefault(entry, place) != place:
            os.link(first[entry], place, follow_symlinks=False)
            continue
        _make(contents, entry, place)
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
        if entry.kind != stat.S_IFLNK:
            place.chmod(entry.mode)
        # Behind chown, which takes capabilities away.
        _give(place, entry.xattrs)
        if entry.folder:
            folders.append(place)
        else:
            os.utime(place, (EPOCH, EPOCH), follow_symlinks=False)
    for place in folders:
        os.utime(place, (EPOCH, EPOCH))


def _make(contents: Contents, entry: Entry, place: Path) -> None:
    if entry.folder:
        place.mkdir()
    elif entry.kind == stat.S_IFLNK:
        place.symlink_to(entry.link)
    elif entry.kind == stat.S_IFIFO:
        os.mkfifo(place)
    else:
        with place.open("xb") as output:
            if entry.size:
                shutil.copyfileobj(contents.open(entry), output, 1 << 20)


def _give(place: Path, xattrs: Mapping[str, bytes]) -> None:
    """Extended attributes; of others than capabilities, those that this file system has."""
    for name, value in xattrs.items():
        try:
            os.setxattr(place, name, value, follow_symlinks=False)
        except OSError as error:
            if name == CAPABILITY:
                hint = "put the state folder on ext4 or xfs"
                raise AssembleError(f"file capabilities cannot be set here: {error.strerror}", hint=hint) from error


def _joined(work: Work, name: str, output: BinaryIO) -> None:
    for path in work.inputs[name]:
        with path.open("rb") as stream:
            shutil.copyfileobj(stream, output, 1 << 20)


def _member(work: Work, name: str) -> bytes:
    """A file of /boot; empty when there is none."""
    for path in work.inputs["boot"]:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                if info.name == name and (stream := archive.extractfile(info)):
                    return stream.read()
    return b""


def _leave(made: Path, target: Path) -> None:
    shutil.move(made, target)
