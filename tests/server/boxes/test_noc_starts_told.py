"""What a site's own server says that it handed out: whom the update server hears, and what it makes of it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from gitops.rollout.netboot import PAUSE
from gitops.server import create_app
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.netboot import Starts
from gitops.workflows.media.starts import held_back
from tests.kit.netboot import NEW, NEWER, OLD, Diskless

KEY, STRANGER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture
def box(tmp_path: Path) -> Diskless:
    made = Diskless(Store.open(tmp_path))
    made.offer(NEW, OLD)
    return made


@pytest.fixture
def web(box: Diskless) -> Iterator[TestClient]:
    settings = Settings(state=box.store.paths.root, nocs=(f"x={KEY.public_key().public_bytes_raw().hex()}",))
    with TestClient(create_app(box.store, settings)) as client:
        yield client


def tell(web: TestClient, times: list[int], release: str = NEW, key: Ed25519PrivateKey = KEY, **more: object) -> int:
    rows = {"demo-1": {"release": release, "starts": [[each, "boot of before"] for each in times]}}
    text = json.dumps({"format": 1, "noc": "x", "starts": rows} | more)
    body = {"starts": text, "signature": key.sign(text.encode()).hex()}
    return web.post("/api/v1/nocs/x/starts", json=body).status_code


def test_three_starts_that_a_site_handed_out_hold_the_box_once_and_a_healthy_report_ends_that(
    web: TestClient, box: Diskless
) -> None:
    now = int(time.time())
    times = [now - 600, now - 400, now - 200]
    for _ in range(2):
        assert tell(web, times) == 204
    assert "three times" in held_back(box.store, box.name, now)
    assert len(box.store.events.latest(box.name)) == 1
    box.says(now, "at last", NEW)
    assert tell(web, times) == 204, "said again, it is as old as it was"
    assert held_back(box.store, box.name, now) == ""


@pytest.mark.parametrize(
    "times",
    [[-3, -2, -1], [600, 700, 800], [-PAUSE - 900, -PAUSE - 600, -PAUSE - 300]],
    ids=["within a minute", "of tomorrow", "forgotten by now"],
)
def test_starts_that_would_not_count_here_do_not_count(web: TestClient, box: Diskless, times: list[int]) -> None:
    now = int(time.time())
    assert tell(web, [now + each for each in times]) == 204
    assert held_back(box.store, box.name, now) == held_back(box.store, box.name, now + 900) == ""
    assert box.store.events.latest(box.name) == []


def test_nobody_else_is_heard_nor_of_another_release_or_box(web: TestClient, box: Diskless) -> None:
    now = int(time.time())
    times = [now - 600, now - 400, now - 200]
    assert tell(web, times, key=STRANGER) == 403
    assert tell(web, times, noc="y") == 403
    assert web.post("/api/v1/nocs/y/starts", json={}).status_code == 400
    rows = {"release": NEW, "starts": []}
    assert tell(web, times, starts={f"b{each}": rows for each in range(101)}) == 400
    assert tell(web, times, starts={"demo-1": rows | {"starts": [[now, "b\0"]]}}) == 400
    assert tell(web, times, starts={"nobody": rows}) == tell(web, times, NEWER) == 204
    assert box.store.notes.each(Starts) == {}
