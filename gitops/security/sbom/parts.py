"""What a package is made of: its locked Debian packages and wheels, each with its files.

In: a lock, and where its files are. Out: a `Part` per locked file: the component, and its files by path and digest.
Rules: name, source and versions are the control file's (deb-control(5)) or METADATA's (core metadata); the licence is
debian/copyright's, which another package may hold for us; what cannot be opened is still a part, from the lock's words;
a file that was fetched by digest is a component of its own, by its name, and counts wherever its package is: a build
may have unpacked it in a way that we do not know.

    parts(package.lock, store.blobs.path)
"""

import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.parser import HeaderParser
from hashlib import file_digest, sha256
from pathlib import Path

from debian.arfile import ArError, ArFile
from debian.deb822 import Deb822

from gitops.model import FETCHED, Component, Ecosystem, LockedFile
from gitops.security.components import of_lock, server, unsigned
from gitops.security.sbom import licences
from gitops.security.sbom.files import CHUNK, Content, normal, read_members
from gitops.security.sbom.opening import DAMAGE, MOST, TooLargeError, member, tar_in

SOURCE = re.compile(r"(\S+)(?:\s+\(([^)]+)\))?")
"""deb-control(5), Source: the version stands there only where it is another one."""
SIGNED = "-signed"
"""In the name of a source that only signs what another one built: advisories speak of that one (Debian policy 7.8)."""
BUILT_USING = re.compile(r"(\S+) \(= ([^)]+)\)")
DOC = "usr/share/doc/"
CONTROL = 16 << 20
"""Bytes of what a package says of itself: copyright, scripts and lists of files are elsewhere."""
UNREADABLE = (*DAMAGE, zipfile.BadZipFile, ArError, KeyError, ValueError, NotImplementedError, RuntimeError)
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
    archives = ArFile(str(path))
    members = {each.name.partition(".tar")[0]: each for each in archives.getmembers()}
    with member(members["control"], CONTROL) as archive:
        control = _control(archive)
    name, version = control["Package"], control["Version"]
    with member(members["data"], MOST) as archive:
        files = read_members(archive)
        text, other = _copyright(archive, name)
    source = source_of(name, version, control.get("Source", ""))
    signed = BUILT_USING.fullmatch(control.get("Built-Using", "").strip())
    source = (signed[1], signed[2]) if SIGNED in source[0] and signed else unsigned(*source, version)
    found = licences.of_copyright(text)
    component = Component(Ecosystem.debian, name, version, *source, found, file.sha256, server(file))
    return Part(component, files, documented_by=other)


def _control(archive: tarfile.TarFile) -> Deb822:
    """Raises KeyError: there is none."""
    stream = next((archive.extractfile(each) for each in archive if normal(each.name) == "control"), None)
    if stream is None:
        raise KeyError("control")
    return Deb822(stream.read())


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
        if sum(each.file_size for each in wheel.infolist()) > MOST:
            raise TooLargeError("what the wheel says of its files is more than is unpacked")
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        metadata = next(name for name in [*names, ""] if name.endswith(".dist-info/METADATA") or not name)
        with wheel.open(metadata) as stream:
            component = of_metadata(stream.read(CONTROL).decode(errors="replace"), file.sha256)
        return Part(component, {name: _hashed(wheel, name) for name in names})


def _hashed(wheel: zipfile.ZipFile, name: str) -> Content:
    with wheel.open(name) as stream:
        digest, size = sha256(), 0
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return Content(digest.hexdigest(), size)


def _fetched(file: LockedFile, path: Path) -> Part:
    """The file itself, and what is in it when it is a tar."""
    with path.open("rb") as stream:
        files = {file.name: Content(file_digest(stream, "sha256").hexdigest(), path.stat().st_size)}
    with suppress(*UNREADABLE), tar_in(path, MOST) as archive:
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
