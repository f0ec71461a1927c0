"""Feeds as they come: a document, a folder, a zip, packed or not, broken in every way."""

import contextlib
import gzip
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.errors import DocumentError
from gitops.model import Advisory
from gitops.security.feeds import reading
from gitops.security.feeds.entries import Unread
from gitops.security.feeds.reading import entries
from tests.kit.feeds import osv, resolved, tracker, write, zipped

TRACKER = tracker({"openssl": {"CVE-2026-1": resolved("2")}, "bash": {"CVE-2026-2": resolved("3")}})
SIX = osv("X-1", "six", {"introduced": "0"})


def names(place: Path) -> list[str]:
    return [each.id if isinstance(each, Advisory) else f"unread {each.name}" for each in entries(place)]


def test_every_form_that_a_feed_has(tmp_path: Path) -> None:
    assert names(write(tmp_path / "a.json", TRACKER)) == ["CVE-2026-1", "CVE-2026-2"]
    assert names(write(tmp_path / "b.json", SIX)) == ["X-1"]
    assert names(write(tmp_path / "c.json", [SIX, SIX])) == ["X-1", "X-1"]
    assert names(zipped(tmp_path / "d.zip", SIX, osv("X-2", "six", {"introduced": "0"}))) == ["X-1", "X-2"]
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(json.dumps(TRACKER).encode()))
    assert names(tmp_path / "e.json.gz") == ["CVE-2026-1", "CVE-2026-2"]


def test_a_folder_may_hold_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "osv").mkdir()
    write(tmp_path / "osv" / "X-1.json", SIX)
    write(tmp_path / "tracker.json", TRACKER)
    (tmp_path / "README").write_text("not a feed")
    (tmp_path / "link.json").symlink_to("/etc/passwd")
    assert names(tmp_path) == ["X-1", "CVE-2026-1", "CVE-2026-2"]


def test_a_record_that_is_broken_hides_no_other(tmp_path: Path) -> None:
    place = zipped(tmp_path / "a.zip", SIX)
    with zipfile.ZipFile(place, "a") as archive:
        archive.writestr("bad.json", "{")
        archive.writestr("deep.json", "[" * 100_000)
    assert names(place) == ["X-1", "unread bad.json", "unread deep.json"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>",
        b'{"openssl": {',
        json.dumps(TRACKER).encode()[:-20],
        json.dumps(TRACKER).encode() + b"{}",
        gzip.compress(json.dumps(TRACKER).encode())[:-8],
        b"PK\x03\x04",
        b"\x1f\x8bxxxx",
        b'{"a": "\xff"}',
        b"[" * 1_000_000,
    ],
    ids=range(13),
)
def test_what_is_no_feed_is_told_and_never_taken_for_an_empty_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "feed.json").write_bytes(data)
    with pytest.raises(DocumentError, match=r"feed\.json"):
        assert names(tmp_path / "feed.json") == "read"


def test_a_file_that_grows_when_it_is_unpacked_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 1000)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"a": "' + b"x" * 100_000 + b'"}'))
    with pytest.raises(DocumentError, match="too large"):
        names(tmp_path / "a.json.gz")
    with pytest.raises(DocumentError, match="too large"):
        names(zipped(tmp_path / "b.zip", SIX | {"details": "x" * 100_000}))


def test_one_record_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "RECORD", 1000)
    [found] = entries(zipped(tmp_path / "b.zip", SIX | {"details": "x" * 100_000}))
    assert isinstance(found, Unread) and "larger" in found.why


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_read_or_told(tmp_path: Path, value: object) -> None:
    write(tmp_path / "feed.json", value)
    with contextlib.suppress(DocumentError):
        assert all(isinstance(each, Advisory | Unread) for each in entries(tmp_path / "feed.json"))
