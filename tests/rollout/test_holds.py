"""Who holds which box: no word of an operator is lost, and none is said twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gitops.fleet import load_fleet
from gitops.rollout import holds
from gitops.source import FolderTree
from gitops.store import Store
from tests.kit.databases import both
from tests.kit.fleets import repo


@both
def test_two_operators_at_once_both_hold_their_boxes(tmp_path: Path, database: str) -> None:
    """3 a.m., two terminals: the second one must not write what it read before the first one wrote."""
    stores = [Store.open(tmp_path, database) for _ in range(4)]
    names = [f"site-{number}" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: holds.hold(stores[n % 4], names[n], "ada", "smoke", n), range(40)))
    assert sorted(holds.operators(stores[0])) == sorted(names)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda n: holds.let_go(stores[n % 4], names[n], "ada"), range(40)))
    assert holds.operators(stores[0]) == {}
    assert not holds.let_go(stores[0], "site-1", "ada")


def test_what_holds_the_fleet_is_said_once(tmp_path: Path) -> None:
    repo(tmp_path / "fleet", **{"fleet.yaml": 'suspended: "ada: audit"\n'})
    fleet = load_fleet(FolderTree(tmp_path / "fleet"))
    store = Store.open(tmp_path / "state")
    all_ = "the whole fleet, by ada: audit"
    assert set(holds.reasons(fleet, store).values()) == {all_, f"{all_}; ada: disk"}


def test_who_holds_whom_is_an_event_of_the_box_or_of_the_fleet_and_said_with_its_time(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for box in ("site-1", holds.ALL):
        holds.hold(store, box, "ada", "disk", 1_790_000_000)
    assert holds.operators(store) == dict.fromkeys(("site-1", holds.ALL), "ada: disk (since 2026-09-21 14:13 UTC)")
    for box in ("site-1", holds.ALL):
        assert holds.let_go(store, box, "bob")
    events = [(event.box, str(event.reason), event.message) for event in reversed(store.events.latest())]
    assert events == [
        ("site-1", "Suspended", "ada: disk"),
        ("", "Suspended", "ada: disk"),
        ("site-1", "Resumed", "bob"),
        ("", "Resumed", "bob"),
    ]


def test_who_says_the_same_again_is_told_so_and_it_is_held_since_the_first_time(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert holds.hold(store, "site-1", "ada", "disk", 1_790_000_000)
    assert not holds.hold(store, "site-1", "ada", "disk", 1_790_009_999)
    assert holds.operator(store, "site-1") == "ada: disk (since 2026-09-21 14:13 UTC)"
    assert holds.operator(store, "site-2") == ""
    assert len(store.events.latest()) == 1
    assert holds.hold(store, "site-1", "ada", "power", 1_790_009_999) and holds.hold(store, "site-1", "ben", "power", 1)
    assert holds.operator(store, "site-1") == "ben: power (since 1970-01-01 00:00 UTC)"
