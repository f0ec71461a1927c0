"""Real boxes behind a NOC, and an origin that comes and goes."""

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.nocs import box_at, content, noc, offer, release, reports, settle
from tests.simulators.box import Box, State, drive, make
from tests.simulators.update_server import UpdateServer


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        yield running


def test_a_site_takes_a_release_through_its_noc_which_fetches_each_layer_once(
    server: UpdateServer, tmp_path: Path
) -> None:
    offer(server, release(8))
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as site:
        assert site.once().words(0) == "up to date"
        for name in ("first", "second"):
            agent = settle(box_at(site.url, tmp_path / name, server.root))
            assert (agent.boot.sequence, agent.trial, agent.state) == (8, False, State.IDLE)
        fetched = content(server)
        assert len(fetched) == len(set(fetched)) and not site.get("/layers/" + "0" * 64)
        assert [each["sequence"] for each in reports(server)][-1] == 8


def test_while_the_origin_is_away_boxes_stay_healthy_and_begin_no_trial_and_what_they_say_arrives_later_in_order(
    server: UpdateServer, tmp_path: Path
) -> None:
    offer(server, release(8))
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as site:
        site.once()
        early, late = (box_at(site.url, tmp_path / name, server.root) for name in ("early", "late"))
        shutil.copy(early.disk / "identity" / "box.key", late.disk / "identity")
        assert settle(early).boot.sequence == 8
        server.leave()
        before = len(server.reports)
        assert "works without the origin; boxes believe what is signed here for" in site.once().words(time.time())
        for _ in range(2):  # it was off, and is switched on twice
            agent = settle(late)
            assert (agent.boot.sequence, agent.state, late.bootable()) == (7, State.IDLE, [7])
            assert "the site keeps the reports" in agent.error and agent.tell().health != "Degraded"
        assert drive(early.agent(), State.IDLE) == State.IDLE
        waiting = site.once().waiting["demo-1"]
        assert waiting > 2 and len(server.reports) == before
        server.come_back()
        assert site.once().waiting == {}
        said = [(each["boot_id"], each["counter"]) for each in reports(server)[before:]]
        assert len(said) == waiting and [each[1] for each in said] == sorted(each[1] for each in said)
        assert settle(late).boot.sequence == 8


def test_a_trial_that_loses_the_origin_ends_without_a_verdict_and_the_box_takes_the_release_when_it_is_back(
    server: UpdateServer, tmp_path: Path
) -> None:
    offer(server, release(8))
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as site:
        site.once()
        box = box_at(site.url, tmp_path / "box", server.root)
        agent = box.power_on()
        assert agent and drive(agent, State.REBOOTING)
        server.leave()
        site.once()
        agent = box.power_on()
        assert agent and agent.trial and drive(agent, State.REBOOTING)
        agent = settle(box)
        assert agent.boot.sequence == 7 and [each.verdict for each in agent.history.memory.failures] == [
            "indeterminate"
        ]
        server.come_back()
        site.once()
        assert "waits for" in settle(box).error  # its own back-off


def test_a_box_takes_a_delta_that_its_noc_made_and_the_origin_need_not_have(
    server: UpdateServer, tmp_path: Path
) -> None:
    big = random.Random(7).randbytes(16 << 10)
    old, new = (make(number, images=(big + bytes([number]),), probation=0) for number in (7, 8))
    offer(server, old)
    with noc(tmp_path / "noc", server, boxes=("demo-1",)) as site:
        site.once()
        offer(server, new)
        site.once()
        assert not [path for path in server.paths() if path.startswith("/deltas/")]
        pair = ([*old.blobs][3], [*new.blobs][3])
        delta = site.get(f"/deltas/{pair[0]}/{pair[1]}.zst")
        assert delta.status_code == 200 and len(delta.content) < len(big) / 2
        box = Box(empty(tmp_path / "box"), site.url, server.root)
        box.install(old)
        agent = settle(box)
        assert agent.boot.sequence == 8
        assert any(each["fetched"].get("deltas") for each in reports(server)), [
            each["fetched"] for each in reports(server)
        ]
        site.site.copy.most = site.site.copy.used() - 1
        site.site.copy.make_room(0, site.site.mirror.run(["demo-1"]).needed)
        assert site.get(f"/deltas/{pair[0]}/{pair[1]}.zst").status_code == 404, "it is the first that goes"


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
