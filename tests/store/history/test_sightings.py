"""Sightings outlive the process, and tell how long a fix took."""

from dataclasses import replace
from pathlib import Path

from gitops.model import Severity, Sighting
from gitops.store import Store
from tests.kit.databases import both

ONE = Sighting("vm", "CVE-1", "openssl", Severity.high, 100, 150)
TWO = Sighting("vm", "CVE-2", "openssl", Severity.high, 100)


@both
def test_a_sighting_from_the_first_day_to_the_last(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    with store.lease.held():
        store.sightings.save([ONE, TWO])
        assert sorted(store.sightings.current(), key=lambda each: each.advisory) == [ONE, TWO]
        store.sightings.save([replace(ONE, seen=999, gone=400), replace(TWO, gone=500)])
        assert store.sightings.current() == []
        assert store.sightings.fixed() == {Severity.high: (1, 250)}, "what could not be fixed was not fixed"
        store.sightings.save([replace(ONE, seen=600, fixable=600)])
        assert store.sightings.current() == [ONE], "it is back, and its first sighting and its fix's stay"
        assert store.sightings.fixed() == {}


@both
def test_thousands_at_once(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    rows = [Sighting("vm", f"CVE-{number}", "linux", Severity.unknown, number) for number in range(1234)]
    with store.lease.held():
        store.sightings.save(rows)
        store.sightings.save(rows)
    assert len(store.sightings.current()) == 1234
