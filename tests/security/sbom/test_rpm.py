"""rpm's own database is read, whatever somebody put into it."""

import gzip
import sqlite3
import struct
from pathlib import Path

import pytest

from gitops.model import Component, Ecosystem, Inventory
from gitops.security.sbom import rpm, words
from gitops.security.sbom.foreign import of_image
from tests.kit.oci import File, tar

GOLDEN = gzip.decompress((Path(__file__).parents[2] / "golden/rpm/rpmdb.sqlite.gz").read_bytes())
BASH = Component(Ecosystem.rpm, "bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9", ("GPLv3+",))
SSL = Component(Ecosystem.rpm, "openssl-libs", "1:3.0.7-25.el9", "openssl-libs", "3.0.7-25.el9", ("ASL 2.0",))
PATH = "var/lib/rpm/rpmdb.sqlite"


def look(folder: Path, **files: bytes) -> Inventory:
    layer: dict[str, File] = {"etc/os-release": b"ID=rocky\nVERSION_ID=9.4\n"}
    layer |= {PATH + suffix.replace("_", "-"): data for suffix, data in files.items()}
    (folder / "layer").write_bytes(tar(layer))
    return of_image("x", [folder / "layer"])


def database(folder: Path, *statements: str, blob: bytes = b"") -> bytes:
    with sqlite3.connect(folder / "made") as made:
        for statement in statements:
            made.execute(statement, (blob,) if "?" in statement else ())
        return made.serialize()


def header(count: int = 1, tag: int = 1000, kind: int = 6, offset: int = 0, data: bytes = b"bash\0") -> bytes:
    return struct.pack(">IIIIII", count, len(data), tag, kind, offset, 1) + data


def test_what_rpm_wrote_is_read() -> None:
    assert sorted(rpm.packages(GOLDEN)) == [BASH, SSL]


def test_an_image_with_it_lists_it_and_nothing_is_left_to_say(tmp_path: Path) -> None:
    found = look(tmp_path, **{"": GOLDEN, "_wal": b""})
    assert [each.name for each in found.components] == ["bash", "openssl-libs"] and found.unread == ()
    purl = str(words.purl(found.components[1], found))
    assert purl.startswith("pkg:rpm/rocky/openssl-libs@3.0.7-25.el9?") and "epoch=1" in purl and "rocky-9.4" in purl


def test_changes_that_are_not_in_it_yet_are_said(tmp_path: Path) -> None:
    assert "rpmdb.sqlite-wal is not read" in look(tmp_path, **{"": GOLDEN, "_wal": b"changes"}).unread[0]


@pytest.mark.parametrize("data", [b"", b"no database", GOLDEN[:5000], GOLDEN[:1000] + b"\0" * 200_000])
def test_what_is_no_database_is_unread_and_not_empty(tmp_path: Path, data: bytes) -> None:
    assert "rpmdb.sqlite is not read" in look(tmp_path, **{"": data}).unread[0]


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\xff" * 64,
        header()[:-3],
        header(count=2),
        header(offset=100),
        header(data=b"bash"),
        header(kind=9),
        header(kind=4, data=b"ab"),
        header(tag=1001),
    ],
)
def test_a_header_that_makes_no_sense_is_unread(tmp_path: Path, blob: bytes) -> None:
    data = database(
        tmp_path, "CREATE TABLE Packages (hnum INTEGER, blob BLOB)", "INSERT INTO Packages VALUES (1, ?)", blob=blob
    )
    with pytest.raises(ValueError, match=r"header|tag|name"):
        list(rpm.packages(data))


def test_a_view_that_never_ends_is_not_run(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(blob) AS (SELECT 1 UNION ALL SELECT blob FROM n) SELECT blob FROM n"
    with pytest.raises(ValueError, match="no table"):
        list(rpm.packages(database(tmp_path, f"CREATE VIEW Packages AS {endless}")))
