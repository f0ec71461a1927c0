"""A backup is one file: a tar whose first member says what the others are, to the byte (docs/formats.md, "Backup").

In: names and their bytes; or a file. Out: the file, there whole or not at all; or each member, proven. Rules: the list
is named by its own digest, so a flipped bit is found before anything is read by it; what is not listed is refused, and
so is what would unpack to more than the file has; a format that is not ours is refused by its number.

    write(Path("toweros.backup"), head, {"id": b"...", "blobs/sha256/HEX": path}, sign)
    head, seal = read_head(Path("toweros.backup"))
    unpack(Path("toweros.backup"), head, folder)
"""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from gitops.errors import DocumentError, StoreError
from gitops.model import BlobRef, canonical, sha256
from gitops.model.reading import read
from gitops.store.files.blobs import CHUNK, sync_folder

FORMAT = 2
"""1 had no signature."""
SIGNATURE, MAX_SIGNATURE = "signature.json", 4096
HEAD = re.compile(r"toweros-backup\.([0-9a-f]{64})\.json")
MAX_HEAD = 256 << 20
"""Bytes of the list: a million files."""
HEX = "[0-9a-f]{64}"
NAME = re.compile(
    rf"toweros\.db|id|repo/metadata/(?:(?:boxes|claims|sites)/[a-z0-9][a-z0-9.-]*/)?[a-z0-9.-]+\.json|repo/attestations/{HEX}\.json|blobs/sha256/{HEX}|layers/{HEX}"
)
ANOTHER = "take another backup: this file cannot be repaired"


@dataclass(frozen=True)
class Head:
    """What a backup is of: when it was made (Unix seconds), by which TowerOS, of the state folder with which name, at
    which revision; and its files. `left_out`: what should have been in it and could not be read."""

    made: int
    version: str
    folder: str
    revision: str = ""
    files: Mapping[str, BlobRef] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def encode(self) -> bytes:
        return canonical(asdict(self) | {"format": FORMAT, "left_out": list(self.left_out)})


@dataclass(frozen=True)
class Seal:
    """The digest of a backup's list, and what somebody says in `SIGNATURE` of that; empty: nobody does."""

    listed: str
    signature: bytes = b""


_HEAD = TypeAdapter(Head)
Source = bytes | Path
"""What goes into a backup: bytes, or a file that does not change."""


def write(target: Path, head: Head, sources: Mapping[str, Source], sign: Callable[[str], bytes] | None = None) -> None:
    """Write a backup whose list is complete; `target` is what it was, or the whole new file. `sign` makes the content
    of `SIGNATURE` from the digest of the list.

    Raises:
        StoreError: it cannot be written, or a file changed on the way.
    """
    text = head.encode()
    with _arriving(target) as new, tarfile.open(fileobj=new, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, f"toweros-backup.{sha256(text)}.json", len(text), io.BytesIO(text))
        if sign:
            signature = sign(sha256(text))
            _add(tar, SIGNATURE, len(signature), io.BytesIO(signature))
        for name, ref in head.files.items():
            with _stream(sources[name]) as stream:
                proving = _Proving(stream)
                _add(tar, name, ref.size, proving)
            if proving.digest.hexdigest() != ref.sha256:
                raise StoreError(f"{name} changed while it was copied", hint="try again")


def read_head(file: Path) -> tuple[Head, Seal]:
    """What a backup says of itself, and who says so.

    Raises:
        StoreError: it is no backup, is damaged, or of a newer TowerOS.
    """
    with _opened(file) as tar:
        listed, head = _head(file, tar)
        member = tar.next()
        if member is None or member.name != SIGNATURE:
            return head, Seal(listed)
        stream = tar.extractfile(member) if _plain(member) and member.size <= MAX_SIGNATURE else None
        if stream is None:
            raise StoreError(f"{file} is damaged: its signature is", hint=ANOTHER)
        return head, Seal(listed, stream.read())


def unpack(file: Path, head: Head, folder: Path) -> None:
    """Lay everything below a new folder, each file proven.

    Raises:
        StoreError: something is damaged, missing or too much; or the folder cannot be written, or has no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_room(file, head, folder)
    seen = set[str]()
    with _opened(file) as tar:
        _head(file, tar)
        while member := tar.next():
            if member.name == SIGNATURE:
                continue
            ref = head.files.get(member.name)
            if ref is None or member.name in seen or not _plain(member) or member.size != ref.size:
                raise StoreError(f"{file} is damaged: {member.name[:100]!r} is not as it is listed", hint=ANOTHER)
            stream = tar.extractfile(member)
            assert stream
            place = folder / member.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if _copied(stream, place) != ref.sha256:
                raise StoreError(f"{file} is damaged: {member.name} has another digest than is listed", hint=ANOTHER)
            seen.add(member.name)
    if missing := head.files.keys() - seen:
        raise StoreError(f"{file} is cut short: {len(missing)} of {len(head.files)} files are missing", hint=ANOTHER)


def _check_room(file: Path, head: Head, folder: Path) -> None:
    size = sum(ref.size for ref in head.files.values())
    if size > file.stat().st_size:
        raise StoreError(f"{file} is cut short, or damaged: it lists {size} bytes, more than it has", hint=ANOTHER)
    if size > (free := shutil.disk_usage(folder).free):
        raise StoreError(f"{folder.parent} has {free} bytes left, {file} needs {size}", hint="make room on this disk")


def _plain(member: tarfile.TarInfo) -> bool:
    """Every byte of it is in the tar, and its header says all: we write no other."""
    return member.isreg() and not member.issparse() and not member.pax_headers


@contextmanager
def _arriving(target: Path) -> Iterator[IO[bytes]]:
    """`TARGET.new`, for its owner alone: there are secrets in it. One that a stopped backup left is written over."""
    new = target.with_name(f"{target.name}.new")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror}", hint="is the disk full?") from error
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _copied(stream: IO[bytes], place: Path) -> str:
    proving = _Proving(stream)
    with place.open("wb") as out:
        while chunk := proving.read(CHUNK):
            out.write(chunk)
    return proving.digest.hexdigest()


def _head(file: Path, tar: tarfile.TarFile) -> tuple[str, Head]:
    """The first member: its digest, and what it says."""
    member = tar.next()
    named = HEAD.fullmatch(member.name) if member and _plain(member) and member.size <= MAX_HEAD else None
    stream = tar.extractfile(member) if member and named else None
    if named is None or stream is None:
        raise StoreError(f"{file} is no backup of TowerOS", hint="name a file that `toweros backup` made")
    text = stream.read()
    if sha256(text) != named[1]:
        raise StoreError(f"{file} is damaged: its list is", hint=ANOTHER)
    try:
        head = read(_HEAD, "the backup", text, FORMAT)
    except DocumentError as error:
        newer = isinstance(number := json.loads(text).get("format"), int) and number > FORMAT
        hint = "install the TowerOS that made it, or a newer one" if newer else ANOTHER
        raise StoreError(f"{file}: {error.message}", hint=hint) from error
    if strange := [name for name in head.files if not NAME.fullmatch(name) or ".." in name]:
        raise StoreError(f"{file} is damaged: it lists {strange[0][:100]!r}", hint=ANOTHER)
    return named[1], head


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    if file.exists() and not file.is_file():
        raise StoreError(f"{file} is no file", hint="name a file that `toweros backup` made: it is read twice")
    try:
        with tarfile.open(file, "r:") as tar:
            yield tar
    except tarfile.TarError as error:
        why = "is cut short, or damaged" if _begins(file) else "is no backup of TowerOS"
        raise StoreError(f"{file} {why}", hint="name a file that `toweros backup` made, and that is whole") from error
    except FileNotFoundError as error:
        if error.filename != str(file):
            raise
        raise StoreError(f"there is no {file}", hint="name a file that `toweros backup` made") from error


def _begins(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(15) == b"toweros-backup."


def _add(tar: tarfile.TarFile, name: str, size: int, stream: "IO[bytes] | _Proving") -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    try:
        tar.addfile(member, stream)
    except OSError as error:
        if error.errno:
            raise
        raise StoreError(f"{name} became shorter while it was copied", hint="try again") from error


@contextmanager
def _stream(source: Source) -> Iterator[IO[bytes]]:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        yield stream


class _Proving:
    """What is read is digested."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data
