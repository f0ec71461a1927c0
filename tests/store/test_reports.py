"""Reports arrive at several servers at once, each in threads: every one of them counts once, and none is lost."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gitops.model import Event, EventType, Health, Phase, Report
from gitops.store import Store
from gitops.store.boxes import News
from gitops.store.history import events
from tests.kit.databases import both

REPORT = Report("demo-1", "boot", 1, 0, "1", 1, "ab" * 32, "cd" * 32, Phase.IDLE, Health.HEALTHY)
BOXES, COUNTERS = 4, 15


def news(_before: Report | None, after: Report) -> list[tuple[EventType, str, str]]:
    return [(EventType.NORMAL, "Taken", str(after.counter))]


def _server(folder: Path, database: str, results: "multiprocessing.Queue[list[bool]]") -> None:
    """All reports of all boxes, in order per box, by eight threads."""
    store = Store.open(folder, database)
    todo = [replace(REPORT, box=f"box-{box}", counter=count) for count in range(1, COUNTERS) for box in range(BOXES)]
    with ThreadPoolExecutor(8) as pool:
        results.put(list(pool.map(partial(store.boxes.save_report, news=news), todo)))
    store.close()


@both
def test_two_servers_never_take_the_same_report(tmp_path: Path, database: str) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[list[bool]] = context.Queue()
    Store.open(tmp_path, database).close()
    servers = [context.Process(target=_server, args=(tmp_path, database, results)) for _ in range(3)]
    for server in servers:
        server.start()
    taken = sum(sum(results.get(timeout=120)) for _ in servers)
    for server in servers:
        server.join(60)
    store = Store.open(tmp_path, database)
    logged = [(event.box, event.message) for event in store.events.latest(limit=1000)]
    assert len(logged) == len(set(logged)) == taken
    for box in range(BOXES):
        newest = store.boxes.report(f"box-{box}")
        assert newest and newest.counter == COUNTERS - 1


@both
def test_a_report_and_its_events_are_there_together_or_not_at_all(tmp_path: Path, database: str) -> None:
    store = Store.open(tmp_path, database)

    def dies(_before: Report | None, _after: Report) -> list[tuple[EventType, str, str]]:
        raise RuntimeError("power")

    broken: News = dies
    for _ in range(2):
        try:
            store.boxes.save_report(REPORT, news=broken)
        except RuntimeError:
            assert store.boxes.report("demo-1") is None and store.events.latest() == []
    assert store.boxes.save_report(REPORT, news=news), "it was not counted either"


@both
def test_the_oldest_events_go(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEPT", 50)
    monkeypatch.setattr(events, "TRIM", 10)
    store = Store.open(tmp_path, database)
    with store._database.write() as connection:
        many = [Event(0, "", EventType.NORMAL, str(number), "") for number in range(events.KEPT + 2 * events.TRIM)]
        events.append(connection, many)
    left = store.events.latest(limit=2 * events.KEPT)
    assert events.KEPT <= len(left) < events.KEPT + events.TRIM and left[0].reason == many[-1].reason
