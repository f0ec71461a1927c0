"""Bytes by day: an update counts once, on its day, and one box that lies does not bend the picture of years."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from gitops.model import canonical
from gitops.server import create_app
from gitops.server.boxes.traffic import DAYS, MOST, Fetched
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.deltas import Spared
from gitops.store.notes.directory import Traffic
from tests.kit.contracts import good


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


def days(store: Store) -> dict[str, int]:
    return dict((store.notes.get(Traffic) or Traffic()).rows)


def fetched(store: Store, number: int, now: int) -> None:
    one = Fetched()
    one.bytes = number
    one.keep(store, now)


@pytest.mark.parametrize(("said", "counted"), [(7, 7), (1 << 50, MOST), (-5, None), ("many", None), (0, None)])
def test_an_update_counts_once_as_far_as_it_can_be_true(store: Store, said: object, counted: int | None) -> None:
    key = Ed25519PrivateKey.generate()
    store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    web = TestClient(create_app(store, Settings(state=store.paths.root)))
    for counter, release in enumerate(["ab" * 32, "cd" * 32, "cd" * 32], 1):
        members = {"boot_id": "b", "counter": counter, "release": release, "fetched": {"bytes": said, "repaired": 0}}
        text = canonical(good("report", "first-boot", **members))
        body = canonical({"report": text.decode(), "signature": key.sign(text).hex()})
        assert web.post("/api/v1/boxes/demo-1/report", content=body).status_code == 204
    assert list(days(store).values()) == ([] if counted is None else [counted])


def test_the_last_days_are_kept_and_what_is_damaged_begins_anew(store: Store) -> None:
    for day in range(DAYS + 5):
        fetched(store, 2, day * 86_400 + 5)
        fetched(store, 3, day * 86_400 + 9)
    assert len(days(store)) == DAYS and set(days(store).values()) == {5} and "1970-01-05" not in days(store)
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = 'traffic'")
    fetched(store, 4, 5)
    assert days(store) == {"1970-01-01": 4}


@pytest.mark.parametrize(
    ("layers", "deltas", "spared"),
    [(["11" * 32], 1, 900), (["11" * 32] * 50, 1, 900), (["11" * 32], 0, None), (["../1", 7, "22" * 32], 1, None),
     ("11" * 32, 1, None), (["11" * 32], "1", None)],
)  # fmt: skip
def test_what_a_delta_spares_is_what_the_layers_here_have_more(
    store: Store, layers: object, deltas: object, spared: int | None
) -> None:
    copy = store.layers.zst("11" * 32)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(bytes(1000))
    key = Ed25519PrivateKey.generate()
    store.boxes.enroll("demo-1", key.public_key().public_bytes_raw().hex())
    web = TestClient(create_app(store, Settings(state=store.paths.root)))
    for counter, release in enumerate(["ab" * 32, "cd" * 32, "cd" * 32], 1):
        said = {"bytes": 100, "layers": layers, "deltas": deltas, "repaired": 0}
        members = {"boot_id": "b", "counter": counter, "release": release, "fetched": said}
        text = canonical(good("report", "first-boot", **members))
        body = canonical({"report": text.decode(), "signature": key.sign(text).hex()})
        assert web.post("/api/v1/boxes/demo-1/report", content=body).status_code == 204
    assert [*(store.notes.get(Spared) or Spared()).rows.values()] == ([] if spared is None else [spared])
    assert list(days(store).values()) == [100]
