"""The one reader of layer tars: a tar is parsed here, and nowhere else on its way to a box.

In: an uncompressed tar. Out: `Contents`: the tree that an engine would unpack, what it hides of lower layers, and what
was left out. Rules:

- names and targets of hard links are paths below the root, wherever they begin; sparse files have their whole size;
- whiteouts hide what lower layers hold, never what is in the same tar, wherever they stand in it (OCI image spec);
- device nodes are left out, and all their names: /dev is mounted over, and what an image has elsewhere (for a chroot)
  is nothing that a box gives to anybody unasked. AUFS's own files, a volume's label and attributes that no file of a
  box has (`attributes`) are left out. FIFOs are kept;
- what readers understand in different ways is refused: damaged or unknown headers, data behind the end, global names.

    with reading(Path("layer.tar")) as contents:
        contents.entries["usr/bin/a"].mode
        contents.open(contents.entries["usr/bin/a"]).read()
"""

import contextlib
import itertools
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import structlog

from gitops.assemble.tars.attributes import XATTR, attributes
from gitops.assemble.tars.headers import Header
from gitops.assemble.tars.names import PATH_MAX, WHITEOUT, base, beside, clean, parent
from gitops.assemble.tars.tree import Entry, Tree
from gitops.errors import AssembleError

log = structlog.get_logger(__name__)

META, OPAQUE = ".wh..wh.", ".wh..wh..opq"
MAX_MEMBERS = 1_000_000
MAX_HOLES = 1 << 30
"""Bytes that sparse files of one tar may have beyond what the tar holds of them."""
MAX_ID = 2**32 - 2
"""-1 is nobody (chown(2))."""
KINDS = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}
SAID = 20
"""Paths that one line of the log names."""
VOLUME_LABEL = b"V"
GLOBAL, GLOBALS = ("path", "linkpath", "size", "uid", "gid"), (XATTR, "GNU.sparse.")
"""Words for all members, and what such words begin with, by which Python's reader goes and Go's does not."""
DAMAGE = (tarfile.TarError, OSError, ValueError, EOFError, KeyError, RecursionError, OverflowError)


class Contents:
    """What a tar holds. `hidden` are the whiteouts by the path that they hide, `marked` the folders
    with whiteouts, `opaque` the folders that hide all."""

    def __init__(self, file: Path, archive: tarfile.TarFile) -> None:
        self.name = file.name
        self._file, self._archive = file, archive
        self._tree, self._holes = Tree(file.name), 0
        self._marks: dict[str, Entry] = {}
        self._devices: set[str] = set()
        self.left_out: list[str] = []
        self.opaque: set[str] = set()
        self.marked: set[str] = set()
        self._read()

    @property
    def entries(self) -> dict[str, Entry]:
        return self._tree.entries

    @property
    def hidden(self) -> dict[str, Entry]:
        return self._marks

    def hides(self, path: str) -> bool:
        """Whether lower layers' file of this path is hidden."""
        parts = path.split("/")
        above = {"/".join(parts[:count]) for count in range(len(parts))}
        return bool(above & self.opaque or (above | {path}) & self._marks.keys())

    def open(self, entry: Entry) -> IO[bytes]:
        """The bytes of a regular file."""
        if not isinstance(entry.source, tarfile.TarInfo):
            raise AssembleError(f"{self.name}: a file without bytes")
        content = self._archive.extractfile(entry.source)
        if content is None:
            raise AssembleError(f"{self.name}: {entry.source.name} cannot be read")
        return content

    def _read(self) -> None:
        for count, member in enumerate(self._archive):
            if count >= MAX_MEMBERS:
                raise AssembleError(f"{self.name} has more than {MAX_MEMBERS} members")
            self._take(member)
        _check_end(self._file, self._archive.offset)
        if names := [name for name in self._archive.pax_headers if name in GLOBAL or name.startswith(GLOBALS)]:
            raise AssembleError(f"{self.name}: a global header sets {min(names)}, which readers take differently")
        self._settle()

    def _take(self, member: tarfile.TarInfo) -> None:
        path = clean(self.name, member.name)
        aufs = any(part.startswith(META) and part != OPAQUE for part in path.split("/"))
        if aufs or member.type == VOLUME_LABEL:
            self.left_out.append(path)
        elif any(part.startswith(WHITEOUT) for part in parent(path).split("/")):
            raise AssembleError(f"{self.name}: {path} is in a whiteout")
        elif base(path).startswith(WHITEOUT):
            self._mark(path)
        elif member.ischr() or member.isblk():
            self._device(path)
        elif member.islnk():
            self._link(path, member)
        else:
            self._tree.put(path, self._entry(path, member))

    def _mark(self, path: str) -> None:
        path = self._tree.real(path)
        hidden = base(path).removeprefix(WHITEOUT)
        if base(path) == OPAQUE:
            self.opaque.add(parent(path))
        elif hidden in ("", ".", ".."):
            raise AssembleError(f"{self.name}: the whiteout {path} names nothing")
        else:
            self._marks[beside(path, hidden)] = Entry(stat.S_IFCHR, 0)

    def _device(self, path: str) -> None:
        """In place of what was there: an engine's own tree has nothing else there either."""
        if not path:
            raise AssembleError(f"{self.name}: the root is not a folder")
        if not path.startswith("dev/"):
            path = self._tree.real(path)
            self._tree.remove(path)
        self._devices.add(path)
        self.left_out.append(path)

    def _link(self, path: str, member: tarfile.TarInfo) -> None:
        target = self._tree.real(clean(self.name, member.linkname))
        entry = self.entries.get(target)
        if entry is None and target in self._devices:
            self._device(path)
            return
        if entry is None or entry.folder:
            raise AssembleError(f"{self.name}: {path} is a hard link to nothing that came before it")
        self._tree.put(path, entry)

    def _entry(self, path: str, member: tarfile.TarInfo) -> Entry:
        owner = _owner(self.name, member)
        if isinstance(member, Header) and member.folder:
            return Entry(stat.S_IFDIR, *owner, xattrs=self._xattrs(path, member, stat.S_IFDIR))
        xattrs = self._xattrs(path, member, KINDS.get(member.type, stat.S_IFREG))
        if member.issym():
            return Entry(stat.S_IFLNK, *owner, link=self._target(path, member.linkname), xattrs=xattrs)
        if member.isreg():
            self._check_holes(path, member)
            return Entry(stat.S_IFREG, *owner, member.size, xattrs=xattrs, source=member)
        if member.type not in KINDS:
            raise AssembleError(f"{self.name}: {path} is of a kind that is not known, {member.type!r}")
        return Entry(KINDS[member.type], *owner, xattrs=xattrs)

    def _target(self, path: str, link: str) -> str:
        if not link or "\0" in link or len(link.encode(errors="surrogateescape")) >= PATH_MAX:
            raise AssembleError(f"{self.name}: {path} is a link to no possible path")
        return link

    def _check_holes(self, path: str, member: tarfile.TarInfo) -> None:
        # GNU tar fills its tables up with parts of nothing.
        parts = [part for part in _parts(member) if part[1]]
        ends = [0, *(offset + size for offset, size in parts)]
        if any(start < end or size < 0 for (start, size), end in zip(parts, ends, strict=False)):
            raise AssembleError(f"{self.name}: the parts of the sparse file {path} cover each other")
        if ends[-1] > member.size:
            raise AssembleError(f"{self.name}: the sparse file {path} ends before its parts")
        # The next header is behind what the tar has of this one, which is not written down anywhere else by now.
        held = sum(size for _, size in parts)
        if held > self._archive.offset - member.offset_data or (member.issparse() and "size" in member.pax_headers):
            raise AssembleError(f"{self.name}: the sparse file {path} says its size in two ways")
        self._holes += member.size - held
        if self._holes > MAX_HOLES:
            raise AssembleError(f"{self.name}: {path} has holes of more than {MAX_HOLES >> 20} MiB")

    def _xattrs(self, path: str, member: tarfile.TarInfo, kind: int) -> dict[str, bytes]:
        try:
            kept, others = attributes(member.pax_headers, kind)
        except ValueError as error:
            raise AssembleError(f"{self.name}: {path} {error}") from error
        self.left_out += [f"{path} ({name})" for name in others]
        return kept

    def _settle(self) -> None:
        """What is in the tar is not hidden by it: a folder that replaces what was there hides what that held."""
        folders = {path for path, entry in self.entries.items() if entry.folder}
        self.opaque = (self.opaque | (self._marks.keys() & folders)) & folders
        self._marks = {
            path: mark
            for path, mark in self._marks.items()
            if path not in self.entries and parent(path) in folders and parent(path) not in self.opaque
        }
        self.marked = {parent(path) for path in self._marks}
        if self.left_out:
            log.warning("layer.left_out", layer=self.name, count=len(self.left_out), paths=self.left_out[:SAID])


@contextlib.contextmanager
def reading(file: Path) -> Iterator[Contents]:
    """What a layer tar holds, as long as it is open.

    Raises:
        AssembleError: it is damaged or cut short, or holds what no layer may hold.
    """
    with contextlib.ExitStack() as stack:
        try:
            opened = tarfile.open(file, "r:", tarinfo=Header, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
            archive = stack.enter_context(opened)
            contents = Contents(file, archive)
        except DAMAGE as error:
            raise AssembleError(f"{file.name} is not a whole tar: {error}", hint="build the package again") from error
        yield contents


def _owner(name: str, member: tarfile.TarInfo) -> tuple[int, int, int]:
    """Permissions, user, group."""
    if not (0 <= member.uid <= MAX_ID and 0 <= member.gid <= MAX_ID):
        raise AssembleError(f"{name}: {member.name} belongs to {member.uid}:{member.gid}, which no system has")
    return member.mode & 0o7777, member.uid, member.gid


def _parts(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """(offset, bytes) of what a file holds."""
    if not member.issparse():
        return [(0, member.size)]
    table: list[tuple[int, int]] = member.sparse or []  # type: ignore[assignment]
    return table


def _check_end(tar: Path, offset: int) -> None:
    """Python's reader takes a damaged header for the end of the archive: only zeros may follow the last member."""
    with tar.open("rb") as stream:
        stream.seek(offset)
        if any(block.strip(b"\0") for block in itertools.islice(iter(lambda: stream.read(tarfile.BLOCKSIZE), b""), 2)):
            raise AssembleError(f"{tar.name} is damaged near byte {offset}", hint="build the package again")
