"""What feeds say is kept, told once when it fails, and asked for only when that is due."""

import json
from pathlib import Path

from gitops.model import Ecosystem, Gap, Scope
from gitops.settings import Feed
from gitops.store import Store
from gitops.store.collect import collect
from gitops.store.notes.documents import FeedState
from gitops.workflows.security.advisories import NONE, Advisories
from tests.kit.databases import both
from tests.kit.feeds import osv, resolved, tracker, write, zipped
from tests.kit.servers import files

NOW = 1_795_000_000
DEBIAN, PYPI = Scope(Ecosystem.debian, "debian:13"), Scope(Ecosystem.pypi)
KEYS = {(DEBIAN, "openssl"), (PYPI, "six")}


def test_two_feeds_are_one_knowledge(tmp_path: Path) -> None:
    write(tmp_path / "tracker.json", tracker({"openssl": {"CVE-2026-1": resolved("2")}}))
    zipped(tmp_path / "all.zip", osv("X-1", "six", {"introduced": "0"}))
    feeds = [
        Feed(name="debian", place=str(tmp_path / "tracker.json")),
        Feed(name="pypi", place=str(tmp_path / "all.zip")),
    ]
    store = Store.open(tmp_path / "s")
    advisories = Advisories(store, feeds)
    before = advisories.knowledge(KEYS, NOW)
    assert before.gaps[None] == (Gap("feed debian", "it was not read yet"), Gap("feed pypi", "it was not read yet"))
    advisories.refresh(NOW)
    found = advisories.knowledge(KEYS, NOW)
    assert {key: [each.id for each in rows] for key, rows in found.advisories.items()} == {
        (DEBIAN, "openssl"): ["CVE-2026-1"],
        (PYPI, "six"): ["X-1"],
    }
    assert (found.covered, found.gaps) == (frozenset({DEBIAN, PYPI}), {})
    late = advisories.knowledge(KEYS, 2 * NOW)
    assert set(late.gaps) == {DEBIAN, PYPI} and late.advisories == found.advisories, "late, and still said"


def test_without_a_feed_nothing_is_known(tmp_path: Path) -> None:
    assert Advisories(Store.open(tmp_path), ()).knowledge(KEYS, NOW).gaps == {None: (NONE,)}


@both
def test_a_feed_that_fails_is_an_event_once_and_its_end_too(tmp_path: Path, database: str) -> None:
    store, place = Store.open(tmp_path / "s", database), tmp_path / "tracker.json"
    advisories = Advisories(store, [Feed(name="debian", place=str(place))])
    for now in (NOW, NOW + 1000, NOW + 2000):
        advisories.refresh(now)
    write(place, tracker({"openssl": {"CVE-2026-1": resolved("2")}}))
    advisories.refresh(NOW + 2001)
    assert advisories.state(advisories.feeds[0]).error, "it is not asked at once"
    advisories.refresh(NOW + 3000)
    told = [(event.type.value, event.reason, event.message) for event in store.events.latest()]
    assert [each[:2] for each in told] == [("Normal", "Feed"), ("Warning", "Feed")]
    assert "not there" in told[1][2] and told[0][2] == "debian can be read again"


def test_nothing_is_asked_before_it_is_due_and_a_lost_index_is_fetched_at_once(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    write(tmp_path / "web" / "a.json", tracker({"openssl": {"CVE-2026-1": resolved("2")}}))
    store = Store.open(tmp_path / "s")
    with files(tmp_path / "web") as (url, asked):
        advisories = Advisories(store, [Feed(name="debian", place=f"{url}a.json")])
        for now in (NOW, NOW + 1, NOW + 3599):
            advisories.refresh(now)
        assert asked == ["/a.json"]
        state = advisories.state(advisories.feeds[0])
        assert state.index
        store.blobs.remove(state.index.sha256)
        lost = advisories.knowledge(KEYS, NOW)
        assert [gap.why for gap in lost.gaps[DEBIAN]] == ["its index is lost; it is read again"]
        advisories.refresh(NOW + 3600)
        assert len(asked) == 2 and not advisories.knowledge(KEYS, NOW + 3600).gaps


def test_an_index_that_is_lost_or_damaged_while_the_feed_is_away_makes_nothing_clean(tmp_path: Path) -> None:
    place = write(tmp_path / "a.json", tracker({"openssl": {"CVE-2026-1": resolved("2")}}))
    store = Store.open(tmp_path / "s")
    advisories = Advisories(store, [Feed(name="debian", place=str(place))])
    advisories.refresh(NOW)
    state = advisories.state(advisories.feeds[0])
    assert state.index
    store.blobs.path(state.index.sha256).write_bytes(b"damaged")
    place.unlink()
    assert advisories.knowledge(KEYS, NOW).gaps[DEBIAN][0].why == "its index is lost; it is read again"
    for now in (NOW + 1, NOW + 2):
        advisories.refresh(now)
        found = advisories.knowledge(KEYS, now)
        assert not found.advisories and found.gaps[DEBIAN][0].why == "its index is lost; it is read again"
    write(place, tracker({"openssl": {"CVE-2026-1": resolved("2")}}))
    advisories.refresh(NOW + 1000)
    assert advisories.knowledge(KEYS, NOW + 1000).advisories and not advisories.knowledge(KEYS, NOW + 1000).gaps


def test_a_feed_writes_nothing_that_a_terminal_acts_on(tmp_path: Path) -> None:
    rows = {f"CVE-2026-{number}": resolved("2") for number in range(200)} | {"CVE-\x1b]0;pwn\x07": resolved("2")}
    write(tmp_path / "a.json", tracker({"openssl": rows}))
    advisories = Advisories(Store.open(tmp_path / "s"), [Feed(name="debian", place=str(tmp_path / "a.json"))])
    advisories.refresh(NOW)
    [gap] = advisories.knowledge(KEYS, NOW).gaps[DEBIAN]
    assert "CVE-?]0;pwn?" in gap.why and gap.why.isprintable()


def test_an_index_stays_when_what_nobody_needs_goes(tmp_path: Path) -> None:
    write(tmp_path / "a.json", tracker({"openssl": {"CVE-2026-1": resolved("2")}}))
    store = Store.open(tmp_path / "s")
    advisories = Advisories(store, [Feed(name="debian", place=str(tmp_path / "a.json"))])
    with store.lease.held():
        advisories.refresh(NOW)
        collect(store, (), now=NOW * 2, grace=0)
    assert advisories.knowledge(KEYS, NOW).advisories


def test_what_another_version_kept_is_read(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.notes.put(FeedState("here", counts={"debian/debian:13": 1}, confirmed=1), "debian")
    assert json.loads(json.dumps(store.notes.each(FeedState)["debian"].counts)) == {"debian/debian:13": 1}
