"""Where two parts differ: both are opened, and walked side by side.

In: the origin's file and ours. Out: up to `MAX_TOLD` places, as `/usr/bin/a: its content`. Rules: what the origin made
is read by our own readers, within bounds, and never mounted or unpacked onto a disk; what cannot be opened is told by
the first byte that differs.

    in_layers(theirs, ours)     # ["/usr/bin/a: its content"]
"""

import os
import stat
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

from gitops.assemble.boot.pe import sections
from gitops.assemble.tars.erofs import Image, Node
from gitops.errors import AssembleError, ProcessError
from gitops.model import Json, sha256
from gitops.process import piped

T = TypeVar("T")
THEIRS, OURS = "the origin's", "ours"
MAX_TOLD = 5
MAX_INITRD = 512 << 20
"""Bytes of an unpacked initrd."""
CPIO, ZSTD = b"070701", b"\x28\xb5\x2f\xfd"
PIECE = 1 << 20
HEAD = 110
"""Bytes before a name in a cpio archive (kernel docs, driver-api/early-userspace/buffer-format)."""
WRONG = (AssembleError, ProcessError, ValueError, struct.error, LookupError, OverflowError)
"""What a file that is damaged, or no such file, ends in."""


def in_layers(theirs: Path, ours: Path) -> list[str]:
    """Two layers."""
    try:
        with Image(theirs) as left, Image(ours) as right:
            found = _told(_of_images(left, right))
    except WRONG:
        found = []
    return found or [_first_byte(_pieces(theirs), _pieces(ours))]


def in_initrds(theirs: bytes, ours: bytes) -> list[str]:
    """Two initrds: archives, the last of them packed."""
    try:
        rows = _of_rows(_archive(theirs), _archive(ours), lambda a, b: "its content" if a[1] != b[1] else "its mode")
        return _told(rows) or in_bytes(theirs, ours)
    except WRONG:
        return in_bytes(theirs, ours)


def in_bytes(theirs: bytes, ours: bytes) -> list[str]:
    """Two files that have nothing inside."""
    return [_first_byte([theirs], [ours])]


def in_boot_files(theirs: bytes, ours: bytes) -> list[str]:
    """Two programs for firmware: their sections, and of an addon's line the words."""
    try:
        left, right = sections(theirs), sections(ours)
    except WRONG:
        return in_bytes(theirs, ours)
    words = _told(_of_words(left.get(".cmdline", b""), right.get(".cmdline", b"")))
    names = [name for name in dict.fromkeys((*left, *right)) if left.get(name) != right.get(name)]
    rest = [f"section {name}" for name in names if name != ".cmdline" or not words]
    return _told([*words, *rest]) or in_bytes(theirs, ours)


def in_documents(theirs: Json, ours: Json) -> list[str]:
    """Two documents: the members."""
    return _told(_of_values("", theirs, ours))


def _told(rows: Iterable[str]) -> list[str]:
    found = list(islice(rows, MAX_TOLD + 1))
    return [*found[:MAX_TOLD], "and more"] if len(found) > MAX_TOLD else found


def _of_images(left: Image, right: Image) -> Iterator[str]:
    def other(one: Node, two: Node) -> str:
        if one.kind != two.kind:
            return "its kind"
        if (one.mode, one.uid, one.gid) != (two.mode, two.uid, two.gid):
            return "its owner or mode"
        if one.xattrs != two.xattrs:
            return "its attributes"
        if one.kind in (stat.S_IFCHR, stat.S_IFBLK):
            return "" if one.raw == two.raw else "its device"
        if one.kind in (stat.S_IFREG, stat.S_IFLNK):
            same = one.size == two.size and all(
                a == b for a, b in zip(left.pieces(one), right.pieces(two), strict=True)
            )
            return "" if same else "its target" if one.kind == stat.S_IFLNK else "its content"
        return ""

    yield from _of_rows(left.nodes(), right.nodes(), other)


def _of_rows(left: Mapping[str, T], right: Mapping[str, T], other: Callable[[T, T], str]) -> Iterator[str]:
    for path in sorted({*left, *right}):
        if path not in left or path not in right:
            yield f"{_shown(path)} is {THEIRS if path in left else OURS} alone"
        elif left[path] != right[path] and (what := other(left[path], right[path])):
            yield f"{_shown(path)}: {what}"


def _shown(path: str) -> str:
    """It must not steer a terminal."""
    text = os.fsencode(path).decode(errors="replace")[:500]
    return "/" + "".join(letter if letter.isprintable() else "?" for letter in text)


def _archive(data: bytes) -> dict[str, tuple[int, str]]:
    """Path -> mode, digest of its data."""
    start = _end_of(data) if data.startswith(CPIO) else 0
    packed = data.find(ZSTD, start)
    first, rest = (data[:packed], data[packed:]) if packed >= 0 else (data, b"")
    return dict(_members(first)) | dict(_members(_unpacked(rest)))


def _end_of(data: bytes) -> int:
    return max((end for end, _, _ in _walk(data)), default=0)


def _members(data: bytes) -> Iterator[tuple[str, tuple[int, str]]]:
    for _, name, (mode, content) in _walk(data):
        yield name, (mode, sha256(content))


def _walk(data: bytes) -> Iterator[tuple[int, str, tuple[int, bytes]]]:
    """Where each entry ends, its name, its mode and data. Between archives there are zeros."""
    at = 0
    while at + HEAD <= len(data):
        if data[at : at + len(CPIO)] != CPIO:
            if any(data[at : at + 4]):
                return
            at += 4
            continue
        numbers = [int(data[at + 6 + 8 * each : at + 14 + 8 * each], 16) for each in range(13)]
        mode, size, length = numbers[1], numbers[6], numbers[11]
        body = _up(at + HEAD + length)
        name = data[at + HEAD : at + HEAD + max(0, length - 1)].decode(errors="surrogateescape")
        if body + size > len(data):
            raise ValueError("the archive is cut short")
        at = _up(body + size)
        if name != "TRAILER!!!":
            yield at, name, (mode, data[body : body + size])


def _up(number: int) -> int:
    return -(-number // 4) * 4


def _unpacked(packed: bytes) -> bytes:
    if not packed:
        return b""
    with tempfile.TemporaryFile() as source:
        source.write(packed)
        source.seek(0)
        with piped(["zstd", "-d", "-q", "-c", "--long=27"], source, "install zstd") as out:
            data = out.read(MAX_INITRD + 1)
    if len(data) > MAX_INITRD:
        raise ValueError("the initrd unpacks to too much")
    return data


def _of_words(left: bytes, right: bytes) -> Iterator[str]:
    one, two = (side.split(b"\0")[0].decode(errors="replace").split() for side in (left, right))
    yield from (f"the word {_shown(word)[1:]!r}, which is {THEIRS} alone" for word in one if word not in two)
    yield from (f"the word {_shown(word)[1:]!r}, which is {OURS} alone" for word in two if word not in one)


def _of_values(place: str, left: object, right: object) -> Iterator[str]:
    if left == right:
        return
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys((*left, *right)):
            yield from _of_values(f"{place}.{name}".lstrip("."), left.get(name), right.get(name))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, (one, two) in enumerate(zip(left, right, strict=True)):
            yield from _of_values(f"{place}[{number}]", one, two)
    else:
        yield place


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def _first_byte(left: Iterable[bytes], right: Iterable[bytes]) -> str:
    at = 0
    ones, twos = iter(left), iter(right)
    while True:
        one, two = next(ones, b""), next(twos, b"")
        if one != two:
            length = min(len(one), len(two))
            return f"from byte {at + next((each for each in range(length) if one[each] != two[each]), length)} on"
        if not one:
            return "nowhere"
        at += len(one)
