"""A feed's file becomes advisories: the tracker's one document, or OSV's many.

In: a file, a folder of files, or a zip; plain or gzip. Out: an iterator of advisories and of entries that could not be
read. Rules: what a document is, is known by its content, so that a folder may hold both kinds; a document is read in
parts, never whole; a zip is read member by member, within bounds, whatever its directory says.

    entries(Path("all.zip"))
"""

import gzip
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import ijson

from gitops.errors import DocumentError
from gitops.security.feeds import debian_tracker, osv
from gitops.security.feeds.entries import Entries, Unread, harmless
from gitops.security.feeds.fetch import FILES, LARGEST, list_files

Events = Iterator[tuple[str, Any]]
DEPTH = 50
"""Levels of nesting; a record has a dozen."""
RECORD = 16 << 20
"""Bytes of one OSV record."""
PACKED, ZIPPED = b"\x1f\x8b", b"PK"
HINT = "the feed may be broken: it is asked again later"
BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, ijson.JSONError, ValueError, RecursionError, RuntimeError)
"""How a file can fail to be what its name says."""


class _Bounded:
    """A stream that ends with an error after so many bytes: compressed ones may grow without end."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("it is too large")
        return data


def entries(place: Path) -> Entries:
    """All that a feed says.

    Raises:
        DocumentError: it is not what a feed is.
    """
    for path in list_files(place):
        try:
            yield from _file(path)
        except BROKEN as error:
            why = harmless(str(error))[:200] or type(error).__name__
            raise DocumentError(f"{path.name} cannot be read: {why}", hint=HINT) from error


def _file(path: Path) -> Entries:
    with path.open("rb") as stream:
        head = stream.read(2)
        stream.seek(0)
        if head == ZIPPED:
            yield from _zip(path)
        elif head == PACKED:
            with gzip.open(stream) as plain:
                yield from _document(_Bounded(plain, LARGEST))  # type: ignore[arg-type]
        else:
            yield from _document(_Bounded(stream, LARGEST))


def _zip(path: Path) -> Entries:
    left = 4 * LARGEST
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".json")]
        if len(members) > FILES:
            raise ValueError(f"more than {FILES} members")
        for member in members:
            with archive.open(member) as stream:
                data = stream.read(RECORD + 1)
            left -= len(data)
            if left < 0:
                raise ValueError("it is too large")
            yield from _record(member.filename, data)


def _record(name: str, data: bytes) -> Entries:
    try:
        if len(data) > RECORD:
            raise ValueError(f"larger than {RECORD >> 20} MiB")
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        yield Unread(name[:100], str(error)[:100])
        return
    yield from osv.advisories(value)


def _document(stream: _Bounded) -> Entries:
    """One record, a list of records, or the tracker: a mapping from packages to vulnerabilities."""
    parts = iter(_members(stream))
    first = next(parts, None)
    if first is None:
        raise ValueError("it is empty")
    name, value = first
    if name == "":
        yield from osv.advisories(value)
        for _, value in parts:
            yield from osv.advisories(value)
    elif isinstance(value, dict):
        yield from debian_tracker.advisories(name, value)
        for name, value in parts:
            yield from debian_tracker.advisories(name, value)
    else:
        yield from osv.advisories(dict([first, *parts]))


def _members(stream: _Bounded) -> Iterator[tuple[str, Any]]:
    """The members of a mapping, or under no name the items of a list, one after the other."""
    events: Events = ijson.basic_parse(stream, use_float=True)
    kind, _ = next(events)
    if kind == "start_map":
        yield from _values(events, "map_key", "end_map")
    elif kind == "start_array":
        yield from _values(events, "", "end_array")
    else:
        raise ValueError("neither a mapping nor a list")
    if next(events, None) is not None:
        raise ValueError("more follows")


def _values(events: Events, keyed: str, end: str) -> Iterator[tuple[str, Any]]:
    for kind, value in events:
        if kind == end:
            return
        name, first = (str(value), next(events)) if kind == keyed else ("", (kind, value))
        yield name, _build(first, events)


def _build(first: tuple[str, Any], events: Events) -> Any:
    builder = ijson.ObjectBuilder()
    depth = 0
    kind, value = first
    while True:
        builder.event(kind, value)
        depth += kind.startswith("start_") - kind.startswith("end_")
        if depth == 0:
            return builder.value
        if depth > DEPTH:
            raise ValueError(f"nested more than {DEPTH} deep")
        kind, value = next(events)
