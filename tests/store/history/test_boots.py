"""A box starts anew for years: what is remembered of that has a bound, and what counts is still taken once."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from gitops.model import Health, Phase, Report
from gitops.store import Store, tables
from gitops.store.history import boots
from tests.kit.databases import both

REPORT = Report("demo-1", "boot", 1, 0, "1", 1, "ab" * 32, "cd" * 32, Phase.IDLE, Health.HEALTHY)
FEW = 5


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boots, "KEPT", FEW)


def kept(store: Store, box: str = "demo-1") -> set[str]:
    with store._database.read() as connection:
        return set(connection.scalars(select(tables.boots.c.boot_id).where(tables.boots.c.box == box)))


@both
def test_the_oldest_boots_of_a_box_go_and_no_other_box_s(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    assert store.boxes.save_report(replace(REPORT, box="demo-2"), 1)
    for number in range(3 * FEW):
        assert store.boxes.save_report(replace(REPORT, boot_id=f"boot-{number}"), 10 + number)
    assert kept(store) == {f"boot-{number}" for number in range(2 * FEW - 1, 3 * FEW)}
    assert kept(store, "demo-2") == {"boot"}
    for number in range(2 * FEW - 1, 3 * FEW):
        assert not store.boxes.save_report(replace(REPORT, boot_id=f"boot-{number}"), 100), "what was seen stays seen"


@both
def test_a_boot_that_still_speaks_is_not_old_however_long_ago_it_began(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    for number in range(1, 2 * FEW):
        boot = {"boot_id": "long", "counter": number} if number in (1, FEW) else {"boot_id": f"short-{number}"}
        assert store.boxes.save_report(replace(REPORT, **boot), number)  # type: ignore[arg-type]
    assert {"long", f"short-{FEW - 1}"} <= kept(store) and "short-2" not in kept(store)


@both
def test_a_clock_of_the_server_that_was_put_back_lets_no_report_be_taken_twice(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    for number in range(FEW + 1):
        assert store.boxes.save_report(replace(REPORT, boot_id=f"boot-{number}"), 4_000_000_000 + number)
    assert store.boxes.save_report(replace(REPORT, boot_id="today"), 1_800_000_000)
    assert not store.boxes.save_report(replace(REPORT, boot_id="today"), 1_800_000_001)


@both
def test_what_an_older_version_remembered_goes_first(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)
    with store._database.write() as connection:
        rows = [{"box": "demo-1", "boot_id": f"old-{number}", "counter": 9} for number in range(10 * FEW)]
        connection.execute(tables.boots.insert(), rows)
    assert store.boxes.save_report(replace(REPORT, boot_id="old-49", counter=10), 1_800_000_000), "it still runs"
    for number in range(FEW):
        assert store.boxes.save_report(replace(REPORT, boot_id=f"new-{number}"), 1_800_000_001 + number)
    assert kept(store) == {"old-49", *(f"new-{number}" for number in range(FEW))}
