"""A feed is asked again, and believed only when it behaves: what it said before stays, and its age is told."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitops.model import BlobRef, Gap, Scope
from gitops.security.feeds import fetch
from gitops.security.feeds.index import find
from gitops.security.feeds.refresh import AGAIN, due, late, refreshed
from gitops.settings import Feed
from gitops.store.notes.documents import FeedState
from tests.kit import servers
from tests.kit.feeds import resolved, tracker, unfixed, write

NOW, DAY = 1_795_100_000, 24 * 3600
INDEX = BlobRef("ab" * 32, 1)
MANY = {f"CVE-2026-{number}": resolved("2") for number in range(1, 11)}


def feed(place: object, **more: Any) -> Feed:
    return Feed(name="debian", place=str(place), **more)


def dated(path: Path, when: int) -> Path:
    os.utime(path, (when, when))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dated(write(tmp_path / "tracker.json", tracker({"openssl": MANY})), NOW)
    return tmp_path


@pytest.fixture
def good(folder: Path) -> tuple[Feed, FeedState]:
    """A feed that was read once."""
    mine = feed(folder / "tracker.json")
    state, data = refreshed(mine, FeedState(), folder, NOW)
    assert data and state.counts == {"debian/debian:13": 10} and not state.error
    return mine, replace(state, index=INDEX)


def test_a_feed_s_first_reading_and_nothing_new(good: tuple[Feed, FeedState], folder: Path) -> None:
    mine, state = good
    assert late(mine, FeedState(), NOW) == Gap("feed debian", "it was not read yet")
    assert late(mine, state, NOW) is None
    again, data = refreshed(mine, state, folder, NOW + 60)
    assert data is None and again == replace(state, looked=NOW + 60, confirmed=NOW + 60)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"openssl": {}}', "says nothing"),
        (
            json.dumps(tracker({"openssl": {"CVE-2026-1": resolved("2")}})),
            "suddenly says 1 advisories of debian/debian:13",
        ),
        (json.dumps(tracker({"openssl": MANY}, "bookworm")), "suddenly says 0 advisories"),
        (json.dumps(tracker({"openssl": {name: resolved("0") for name in MANY}})), "says nothing"),
        (
            json.dumps(tracker({"openssl": MANY | {"CVE-2026-99": {"status": "odd"}}})),
            "1 of its entries cannot be read",
        ),
    ],
    ids=["cut", "empty", "hollow", "less", "another release", "all is well", "another format"],
)
def test_what_lies_or_is_broken_is_not_believed(
    good: tuple[Feed, FeedState], folder: Path, text: str, words: str
) -> None:
    mine, state = good
    (folder / "tracker.json").write_text(text)
    dated(folder / "tracker.json", NOW + 60)
    bad, data = refreshed(mine, state, folder, NOW + 60)
    assert data is None and words in bad.error and bad.hint
    assert (bad.index, bad.counts, bad.confirmed, bad.failing) == (INDEX, state.counts, NOW, NOW + 60)
    worse, _ = refreshed(mine, bad, folder, NOW + 700)
    assert worse.failing == NOW + 60, "since when it fails"
    assert late(mine, worse, NOW + 700) is None, "what it said an hour ago still counts"
    assert late(mine, worse, NOW + 5 * DAY) == Gap("feed debian", bad.error, NOW)
    dated(write(folder / "tracker.json", tracker({"openssl": MANY})), NOW + 800)
    mended, data = refreshed(mine, worse, folder, NOW + 900)
    assert data and (mended.error, mended.failing, mended.confirmed) == ("", 0, NOW + 900)


def test_a_few_entries_that_cannot_be_read_are_told(folder: Path) -> None:
    rows: Any = {f"CVE-2026-{number}": unfixed() for number in range(200)} | {"CVE-2025-1": {"status": "odd"}}
    write(folder / "tracker.json", tracker({"openssl": rows}))
    state, data = refreshed(feed(folder / "tracker.json"), FeedState(), folder, NOW)
    assert data and state.unread == ("openssl CVE-2025-1: status odd",)


def test_an_older_file_than_before_is_not_believed(good: tuple[Feed, FeedState], folder: Path) -> None:
    mine, state = good
    dated(write(folder / "tracker.json", tracker({"openssl": {**MANY, "CVE-2026-99": unfixed()}})), NOW - 1)
    assert "older" in refreshed(mine, state, folder, NOW + 60)[0].error


def test_a_feed_that_stands_still_is_late_by_its_own_date(good: tuple[Feed, FeedState], folder: Path) -> None:
    mine, state = good
    later = NOW + 4 * DAY + 1
    again, _ = refreshed(mine, state, folder, later)
    assert again.confirmed == later and late(mine, again, later) == Gap("feed debian", "it says nothing new", NOW)
    assert late(feed(folder / "tracker.json", stale_days=30), again, later) is None


def test_a_date_in_the_future_makes_nothing_fresh(folder: Path) -> None:
    dated(folder / "tracker.json", NOW + 365 * DAY)
    state, _ = refreshed(feed(folder / "tracker.json"), FeedState(), folder, NOW)
    assert state.written == NOW


def test_when_a_feed_is_asked(good: tuple[Feed, FeedState], folder: Path) -> None:
    mine, state = good
    assert due(mine, FeedState(), NOW) and not due(mine, state, NOW + 3599) and due(mine, state, NOW + 3600)
    failing = replace(state, error="away")
    assert not due(mine, failing, NOW + AGAIN - 1) and due(mine, failing, NOW + AGAIN)
    assert due(mine, replace(state, looked=NOW + DAY), NOW), "the clock was set back"
    assert due(feed(folder), state, NOW), "it is somewhere else now"


class _Conditional(servers.Plain):
    """Says 304 to those who have it."""

    def do_GET(self) -> None:  # noqa: N802
        self.asked.append(self.headers.get("If-None-Match", ""))
        if self.headers.get("If-None-Match") == '"one"':
            self.send_response(304)
            self.end_headers()
            return
        data = json.dumps(tracker({"openssl": MANY})).encode()
        self.send_response(200)
        self.send_header("ETag", '"one"')
        self.send_header("Last-Modified", "Thu, 19 Nov 2026 10:00:00 GMT")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def test_a_server_is_asked_whether_there_is_anything_new(tmp_path: Path) -> None:
    with servers.files(tmp_path, _Conditional) as (url, asked):
        mine = feed(f"{url}tracker.json")
        state, data = refreshed(mine, FeedState(), tmp_path, NOW)
        assert data and find(data, {(Scope("debian", "debian:13"), "openssl")})  # type: ignore[arg-type]
        assert state.written == 1_795_082_400
        again, none = refreshed(mine, replace(state, index=INDEX), tmp_path, NOW + 9)
        assert none is None and again.confirmed == NOW + 9
        _, data = refreshed(mine, replace(state, index=None), tmp_path, NOW + 9)
        assert data and asked == ["", '"one"', ""], "without an index, everything is fetched"


class _Dateless(servers.Plain):
    """No longer says when its feed was written."""

    def do_GET(self) -> None:  # noqa: N802
        data = json.dumps(tracker({"openssl": MANY})).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)


def test_a_server_that_no_longer_tells_the_age_of_its_feed_is_not_believed(tmp_path: Path) -> None:
    with servers.files(tmp_path, _Dateless) as (url, _):
        mine = feed(f"{url}tracker.json")
        state, data = refreshed(mine, FeedState(), tmp_path, NOW)
        assert data and not state.error, "one that never did is counted from its answers"
        dated_before = replace(state, index=INDEX, written=NOW - 60)
        assert "no longer says when" in refreshed(mine, dated_before, tmp_path, NOW + 60)[0].error


@pytest.mark.parametrize("kind", [*servers.BAD, "silent", "nobody", "huge", "missing"])
def test_a_server_that_misbehaves_costs_seconds_and_is_told(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    for name, value in (("SILENCE", 0.3), ("CONNECT", 0.3), ("LONGEST", 0.5), ("LARGEST", 5000)):
        monkeypatch.setattr(fetch, name, value)
    (tmp_path / "huge.json").write_bytes(b" " * 100_000)
    with _serving(tmp_path, kind) as url:
        state, data = refreshed(feed(f"{url}{kind.replace(' ', '-')}.json"), FeedState(), tmp_path, NOW)
    assert data is None and state.error and not state.confirmed
    assert time.monotonic() - began < 4
    assert late(feed(f"{url}{kind.replace(' ', '-')}.json"), state, NOW) == Gap("feed debian", state.error)


def test_a_redirect_s_own_body_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    write(tmp_path / "there/tracker.json", tracker({"openssl": MANY}))
    began = time.monotonic()
    with servers.files(tmp_path, servers.Detour) as (url, _):
        state, data = refreshed(feed(f"{url}tracker.json"), FeedState(), tmp_path, NOW)
    assert data and not state.error and time.monotonic() - began < 4


@contextmanager
def _serving(folder: Path, kind: str) -> Iterator[str]:
    if kind == "silent":
        with servers.silent() as url:
            yield url
    elif kind == "nobody":
        yield "http://127.0.0.1:1/"
    else:
        with servers.files(folder, servers.BAD.get(kind, servers.Plain)) as (url, _):
            yield url


def test_a_folder_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    for place in (tmp_path / "none", tmp_path):
        assert "empty, or not there" in refreshed(feed(place), FeedState(), tmp_path, NOW)[0].error


def test_no_password_of_a_netrc_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str | None] = []

    class Handler(_Conditional):
        def do_GET(self) -> None:  # noqa: N802
            heads.append(self.headers.get("Authorization"))
            super().do_GET()

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with servers.files(tmp_path, Handler) as (url, _):
        refreshed(feed(f"{url}a.json"), FeedState(), tmp_path, NOW)
    assert heads == [None]
