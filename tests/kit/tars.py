"""Tars as other programs write them, header by header, and trees as one line a path."""

import io
import stat
import tarfile
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

BLOCK = 512
END = bytes(2 * BLOCK)
POSIX, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
FILE, OLD, HARD, LINK, CHAR, DISK, DIR, FIFO, PAX, GLOBAL = (bytes([code]) for code in b"0\x00123456xg")


def header(name: bytes | str, kind: bytes = FILE, size: int = 0, **fields: Any) -> bytes:
    """One header. `fields`: mode, uid, gid, link, magic, prefix, and `raw`: bytes by offset, put in last."""
    link, prefix = _bytes(fields.get("link", b"")), _bytes(fields.get("prefix", b""))
    head = bytearray(BLOCK)
    head[0:100] = _bytes(name)[:100].ljust(100, b"\0")
    mode = fields.get("mode", 0o755 if kind == DIR else 0o777 if kind == LINK else 0o644)
    for at, width, value in (
        (100, 8, mode),
        (108, 8, fields.get("uid", 0)),
        (116, 8, fields.get("gid", 0)),
        (124, 12, size),
    ):
        head[at : at + width] = _number(value, width)
    head[136:148] = _number(1_700_000_000, 12)
    head[156:157], head[157:257] = kind, link[:100].ljust(100, b"\0")
    head[257:265], head[345:500] = fields.get("magic", POSIX), prefix.ljust(155, b"\0")
    for at, value in fields.get("raw", {}).items():
        head[at : at + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def member(name: bytes | str, data: bytes = b"", kind: bytes = FILE, **fields: Any) -> bytes:
    """A header, and its data padded to blocks."""
    return header(name, kind, fields.pop("size", len(data)), **fields) + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def pax(records: Mapping[str, bytes | str], kind: bytes = PAX) -> bytes:
    """An extended header (POSIX.1-2001, pax)."""
    text = b""
    for key, value in records.items():
        body = b" %s=%s\n" % (key.encode(), _bytes(value))
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        text += b"%d%s" % (length, body)
    return member("PaxHeaders.0/x", text, kind)


def long_name(name: bytes | str, kind: bytes = b"L") -> bytes:
    """GNU's way to say a name (L) or a link (K) of more than 100 bytes."""
    return member("././@LongLink", _bytes(name) + b"\0", kind, magic=GNU)


def line(kind: int, mode: int, owner: tuple[int, int], what: bytes, inode: str) -> str:
    """How a test writes an inode: `f 644 0:0 'hello'`, `= usr/bin/a` for a hard link after its first path."""
    if inode:
        return f"= {inode}"
    sign = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFCHR: "hidden"}[kind]
    said = repr(what)[1:] if len(what) < 60 else f"{len(what)} bytes"
    owned = "" if owner == (0, 0) else f" {owner[0]}:{owner[1]}"
    return f"{sign} {mode:o}{owned} {said}" if kind in (stat.S_IFREG, stat.S_IFLNK) else f"{sign} {mode:o}{owned}"


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _number(value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return (value % 256**width | (1 << 8 * width - 1)).to_bytes(width, "big")


NAMES = ("a", "b", "c", "/a", "./b", "a/b", "a/c", "b/a", "c/a/b", "a//b/", "a/../c", "../a", ".", "/", "")
NAMES += (".wh.a", "a/.wh.b", "b/.wh..wh..opq", ".wh..wh..opq", ".wh..wh.aufs", "dev/null", "n" * 100, "a/" + "n" * 99)
TARGETS = ("a", "b", "/a", "c", "a/b", "../b", "/", ".", "none", "", "../../c")


def some_tars() -> st.SearchStrategy[bytes]:
    """Whole and damaged tars of a few names, so that members meet each other."""
    data = st.one_of(st.just(b""), st.binary(max_size=600))
    kinds = st.sampled_from([FILE, FILE, FILE, DIR, DIR, LINK, LINK, HARD, HARD, FIFO, OLD, CHAR, b"V", b"D", b"7"])
    plain = st.builds(
        _some_member, st.sampled_from(NAMES), data, kinds, st.sampled_from(TARGETS), st.integers(0, 0o7777)
    )
    texts = st.dictionaries(
        st.sampled_from(
            ["path", "linkpath", "size", "uid", "SCHILY.xattr.user.a", "GNU.sparse.map", "GNU.sparse.size"]
        ),
        st.one_of(st.sampled_from([*NAMES, "0", "1", "0,1", "512,1", "1024,0"]), st.text(max_size=20)),
        min_size=1,
        max_size=3,
    )
    extended = st.builds(lambda records, one: pax(records) + one, texts, plain)
    named = st.builds(lambda name, one: long_name(name) + one, st.sampled_from(NAMES), plain)
    whole = st.lists(st.one_of(plain, plain, plain, extended, named), max_size=8).map(
        lambda parts: b"".join(parts) + END
    )
    flips = st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(1, 255)), max_size=2)
    return st.builds(_damaged, whole, st.one_of(st.just([]), flips), st.booleans())


def _some_member(name: str, data: bytes, kind: bytes, link: str, mode: int) -> bytes:
    has_data = kind in (FILE, OLD, b"7", b"D", b"V")
    return member(name, data if has_data else b"", kind, mode=mode, link=link if kind in (LINK, HARD) else "")


def _damaged(tar: bytes, flips: list[tuple[int, int]], repaired: bool) -> bytes:
    """With some bits flipped, headers' checksums put right again half of the time, as an attacker would."""
    changed = bytearray(tar)
    for at, bits in flips:
        at %= len(tar)
        changed[at] ^= bits
        start = at // BLOCK * BLOCK
        if repaired and any(changed[start + 257 : start + 262]):
            changed[start + 148 : start + 156] = b" " * 8
            changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + BLOCK])
    return bytes(changed)


ODD_NAMES = (
    b"a",
    b"b",
    b"d",
    "größe".encode(),
    b"caf\xe9",
    b"\xed\xa0\x80",
    b"a\nb",
    b" a ",
    b"a\\b",
    b"...",
    b"n" * 255,
)
LONGEST = b"/".join([b"e" * 255] * 16)
"""A path of 4,095 bytes, as long as Linux takes."""
ODD_TARGETS = (*ODD_NAMES, b"/d/a", b"../d", LONGEST)
IDS = (0, 1, 65_535, 65_536, 2_097_151, 2_097_152, 4_294_967_294)
TIMES = (0, 1.5, -1, -1.25, 1_700_000_000, 8_589_934_593)
ODD_XATTRS: dict[str, tuple[bytes, ...]] = {
    "user.a": (b"", b"1", b"\0\xff\n=", b"v" * 5000),
    "user." + "n" * 250: (b"1",),
    "trusted.t": (b"", b"\0" * 300),
    "security.selinux": (b"u:r:x\0",),
    "security.capability": (b"\1\0\0\2\0\4\0\0" + bytes(12), b"\1\0\0\3\0\4\0\0" + bytes(12) + b"\1\0\0\0"),
    "system.posix_acl_access": (b"\2\0\0\0" + b"".join(bytes([tag, 0, 6, 0]) + b"\xff" * 4 for tag in (1, 4, 32)),),
    "com.apple.provenance": (b"1",),
}
"""Attributes, and values that a file can have of them."""


def rich_tars() -> st.SearchStrategy[bytes]:
    """Whole tars as Python's `tarfile` writes them in all its formats, of everything that a header can say."""
    names = st.lists(st.sampled_from(ODD_NAMES), min_size=1, max_size=3).map(b"/".join) | st.just(LONGEST)
    xattrs = st.dictionaries(st.sampled_from([*ODD_XATTRS]), st.integers(0, 3), max_size=4).map(
        lambda chosen: {name: ODD_XATTRS[name][which % len(ODD_XATTRS[name])] for name, which in chosen.items()}
    )
    members = st.fixed_dictionaries(
        {
            "name": names,
            "type": st.sampled_from([tarfile.REGTYPE] * 3 + [DIR, DIR, LINK, HARD, HARD, FIFO, CHAR, DISK]),
            "linkname": st.sampled_from(ODD_TARGETS),
            "mode": st.integers(0, 0o7777),
            "uid": st.sampled_from(IDS),
            "gid": st.sampled_from(IDS),
            "mtime": st.sampled_from(TIMES),
            "devmajor": st.sampled_from([0, 1, 2_097_151]),
            "devminor": st.sampled_from([0, 3, 2_097_151]),
            "xattrs": xattrs,
            "data": st.sampled_from([b"", b"x", b"x" * 4095, b"y" * 4096, b"z" * 4097, bytes(9000)]),
        }
    )
    formats = st.sampled_from([tarfile.PAX_FORMAT] * 4 + [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    return st.builds(written, st.lists(members, min_size=1, max_size=12), formats)


def written(members: list[dict[str, Any]], form: int) -> bytes:
    """A tar by `tarfile`, without what its format cannot say; hard links lead to what came before."""
    output, before = io.BytesIO(), list[str]()
    with tarfile.open(fileobj=output, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for number, each in enumerate(members):
            info = tarfile.TarInfo(each["name"].decode(errors="surrogateescape"))
            for key in ("type", "mode", "uid", "gid", "mtime", "devmajor", "devminor"):
                setattr(info, key, each[key])
            info.linkname = each["linkname"].decode(errors="surrogateescape")
            if info.islnk() and before:
                info.linkname = before[number % len(before)]
            elif info.islnk():
                info.type = tarfile.REGTYPE
            info.size = len(each["data"]) if info.isreg() else 0
            info.pax_headers = {
                "SCHILY.xattr." + key: value.decode(errors="surrogateescape") for key, value in each["xattrs"].items()
            }
            try:
                archive.addfile(info, io.BytesIO(each["data"]))
            except (ValueError, OverflowError, TypeError):
                continue
            if info.isreg() or info.issym():
                before.append(info.name)
    return output.getvalue()
