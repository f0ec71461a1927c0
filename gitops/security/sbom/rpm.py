"""rpm's database as SQLite, which most systems with rpm have now (rpm.org, "RPM database backends").

In: the bytes of rpmdb.sqlite. Out: its packages. Rules: nothing but the table `Packages` is read, and within bounds, as
it is somebody else's file; each row is a header (rpm.org, "RPM v4 header format"), of which a few tags are looked at.

    list(packages(data))      # [Component("rpm", "bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9", ("GPLv3+",)), ...]
"""

import sqlite3
import struct
from collections.abc import Iterator

from gitops.model import Component, Ecosystem

NAME, VERSION, RELEASE, EPOCH, LICENCE, SOURCE = 1000, 1001, 1002, 1003, 1014, 1044
TAGS = {NAME, VERSION, RELEASE, EPOCH, LICENCE, SOURCE}
INT32, STRING = 4, 6
STEPS = 1000
"""Instructions of SQLite between two looks at how many there were."""
MOST_STEPS = 50_000_000 // STEPS
LARGEST_HEADER = 32 << 20
MAGIC = b"SQLite format 3\0"
WAL = slice(18, 20)
"""File format numbers (sqlite.org, "Database file format"): 2 is WAL, which a database in memory cannot have."""
NO_PACKAGES = ("gpg-pubkey",)
"""Keys, which rpm keeps as if they were packages."""


def packages(data: bytes) -> Iterator[Component]:
    """Raises ValueError: it is no such database, or damaged."""
    if not data.startswith(MAGIC):
        raise ValueError("it is no SQLite database")
    plain = bytearray(data)
    if plain[WAL] == b"\x02\x02":
        plain[WAL] = b"\x01\x01"
    steps = iter(range(MOST_STEPS))
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(bytes(plain))
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_HEADER)
        connection.set_progress_handler(lambda: next(steps, None) is None, STEPS)
        if connection.execute("SELECT type FROM sqlite_master WHERE name = 'Packages'").fetchall() != [("table",)]:
            raise ValueError("there is no table `Packages`")
        for (blob,) in connection.execute("SELECT blob FROM Packages"):
            if found := _component(_tags(blob if isinstance(blob, bytes) else b"")):
                yield found
    except sqlite3.Error as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()


def _component(tags: dict[int, str]) -> Component | None:
    name, version = tags.get(NAME, ""), "-".join(filter(None, (tags.get(VERSION, ""), tags.get(RELEASE, ""))))
    if not name or not version:
        raise ValueError("a package without name or version")
    if name in NO_PACKAGES:
        return None
    full = f"{tags[EPOCH]}:{version}" if tags.get(EPOCH, "0") != "0" else version
    source, *rest = tags.get(SOURCE, "").removesuffix(".src.rpm").removesuffix(".nosrc.rpm").rsplit("-", 2)
    origin = (source, "-".join(rest)) if len(rest) == 2 else (name, full)
    licence = tags.get(LICENCE, "")
    return Component(Ecosystem.rpm, name, full, *origin, (licence,) if licence else ())


def _tags(header: bytes) -> dict[int, str]:
    """The tags that we know, as text: the first value of each."""
    try:
        count, size = struct.unpack_from(">II", header)
        begin = 8 + 16 * count
        data = header[begin : begin + size]
        if len(data) != size:
            raise ValueError("a header ends too early")
        rows = (struct.unpack_from(">IIII", header, 8 + 16 * number) for number in range(count))
        return {tag: _value(kind, data, offset) for tag, kind, offset, _ in rows if tag in TAGS}
    except struct.error as error:
        raise ValueError("a header ends too early") from error


def _value(kind: int, data: bytes, offset: int) -> str:
    if kind == INT32:
        return str(struct.unpack_from(">I", data, offset)[0])
    end = data.find(b"\0", offset)
    if kind != STRING or end < 0:
        raise ValueError("a tag that makes no sense")
    return data[offset:end].decode(errors="replace")
