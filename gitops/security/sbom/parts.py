"""What a package is made of: its locked Debian packages and wheels, each with its files.

In: a lock, and where its files are. Out: a `Part` per locked file: the component, and its files by path and digest.
Rules: name, source and versions are the control file's (deb-control(5)) or METADATA's (core metadata); the licence is
debian/copyright's, which another package may hold for us; what cannot be opened is still a part, from the lock's words;
a file that was fetched by digest is a component of its own, by its name, and counts wherever its package is: a build
may have unpacked it in a way that we do not know.

    parts(package.lock, store.blobs.path)
"""

import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.parser import HeaderParser
from hashlib import file_digest, sha256
from pathlib import Path

from debian.arfile import ArError
from debian.debfile import DebError, DebFile

from gitops.model import FETCHED, Component, Ecosystem, LockedFile
from gitops.security.components import of_lock, server, unsigned
from gitops.security.sbom import licences
from gitops.security.sbom.files import Content, normal, read_members

SOURCE = re.compile(r"(\S+)(?:\s+\(([^)]+)\))?")
"""deb-control(5), Source: the version stands there only where it is another one."""
SIGNED = "-signed"
"""In the name of a source that only signs what another one built: advisories speak of that one (Debian policy 7.8)."""
BUILT_USING = re.compile(r"(\S+) \(= ([^)]+)\)")
DOC = "usr/share/doc/"
UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, ArError, DebError, OSError, EOFError, KeyError, ValueError)
"""How a file can fail to be a Debian package or a wheel."""


@dataclass(frozen=True)
class Part:
    """One locked file. `opened` is False when its files are not known, `always` when they may be there in any form:
    then nobody can say that it is not there. `documented_by` names the package that holds its licences."""

    component: Component
    files: Mapping[str, Content] = field(default_factory=dict)
    opened: bool = True
    documented_by: str = ""
    always: bool = False


def parts(lock: Iterable[LockedFile], place: Callable[[str], Path]) -> list[Part]:
    """A part for each locked file. `place`: where a file is, by its digest."""
    return licensed(part(file, place(file.sha256)) for file in lock)


def licensed(found: Iterable[Part]) -> list[Part]:
    """With the licences that another one of them holds."""
    every = list(found)
    known = {each.component.name: each.component.licences for each in every}
    return [_licensed(each, known) if each.documented_by else each for each in every]


def part(file: LockedFile, path: Path) -> Part:
    """What one locked file is, apart from licences that others hold."""
    readers = {"wheel": _wheel, FETCHED: _fetched}
    try:
        return readers.get(file.kind, _deb)(file, path)
    except UNREADABLE:
        return Part(of_lock(file), opened=False)


def source_of(name: str, version: str, words: str) -> tuple[str, str]:
    """Source package and its version, out of the field `Source` of a Debian package."""
    match = SOURCE.match(words)
    return (match[1], match[2] or version) if match else (name, version)


def _deb(file: LockedFile, path: Path) -> Part:
    deb = DebFile(str(path))
    try:
        control = deb.debcontrol()
        name, version = control["Package"], control["Version"]
        with deb.data.tgz() as archive:
            files = read_members(archive)
            text, other = _copyright(archive, name)
    finally:
        deb.close()
    source = source_of(name, version, control.get("Source", ""))
    signed = BUILT_USING.fullmatch(control.get("Built-Using", "").strip())
    source = (signed[1], signed[2]) if SIGNED in source[0] and signed else unsigned(*source, version)
    found = licences.of_copyright(text)
    component = Component(Ecosystem.debian, name, version, *source, found, file.sha256, server(file))
    return Part(component, files, documented_by=other)


def _copyright(archive: tarfile.TarFile, name: str) -> tuple[bytes, str]:
    """debian/copyright, or the name of the package that holds it (Debian policy 12.3 and 12.5)."""
    members = {normal(member.name): member for member in archive.getmembers()}
    folder, file = members.get(DOC + name), members.get(f"{DOC}{name}/copyright")
    if folder and folder.issym():
        return b"", folder.linkname.rstrip("/").rpartition("/")[2]
    if file and file.issym():
        return b"", file.linkname.rstrip("/").split("/")[-2] if "/" in file.linkname else ""
    stream = archive.extractfile(file) if file and file.isreg() else None
    return (stream.read() if stream else b""), ""


def _wheel(file: LockedFile, path: Path) -> Part:
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        metadata = next(name for name in [*names, ""] if name.endswith(".dist-info/METADATA") or not name)
        read = {name: wheel.read(name) for name in names}
    component = of_metadata(read[metadata].decode(errors="replace"), file.sha256)
    return Part(component, {name: Content(sha256(data).hexdigest(), len(data)) for name, data in read.items()})


def _fetched(file: LockedFile, path: Path) -> Part:
    """The file itself, and what is in it when it is a tar."""
    with path.open("rb") as stream:
        files = {file.name: Content(file_digest(stream, "sha256").hexdigest(), path.stat().st_size)}
    with suppress(*UNREADABLE, zlib.error, lzma.LZMAError), tarfile.open(path, "r:*") as archive:
        files |= read_members(archive)
    return Part(of_lock(file), files, always=True)


def of_metadata(text: str, digest: str = "") -> Component:
    """A Python package by its core metadata. Raises KeyError: it has no name or version."""
    told = HeaderParser().parsestr(text)
    name, version = str(told["Name"] or ""), str(told["Version"] or "")
    if not name or not version:
        raise KeyError("Name and Version")
    name = re.sub(r"[-_.]+", "-", name).lower()
    found = licences.of_wheel(str(told["License-Expression"] or ""), str(told["License"] or ""))
    return Component(Ecosystem.pypi, name, version, name, version, found, digest)


def _licensed(part: Part, known: Mapping[str, tuple[str, ...]]) -> Part:
    return replace(part, component=replace(part.component, licences=known.get(part.documented_by, ())))
