"""Days that go wrong: power cuts, clocks that jump, an origin from a backup, two NOCs, and one behind another."""

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tuf.ngclient._internal import trusted_metadata_set

from gitops.noc.copy import Copy
from gitops.noc.mirror import Mirror
from gitops.noc.origin import Folder
from gitops.noc.saying.reports import Reports
from gitops.noc.site import Config, Site
from tests.kit.nocs import box_at, noc, offer, release, report, reports, settle
from tests.simulators.box import State
from tests.simulators.power import cut_at
from tests.simulators.update_server import UpdateServer

BOX = ("demo-1",)
DAY = 86400


@pytest.fixture
def server() -> Iterator[UpdateServer]:
    with UpdateServer("demo-1") as running:
        offer(running, release(7, b"one"))
        yield running


def test_power_that_fails_at_any_write_leaves_what_is_whole_and_what_was_said(
    server: UpdateServer, tmp_path: Path
) -> None:
    offer(server, release(8))
    point = 0

    def live() -> None:
        site = Site(Config("site", server.url, server.root, folder, "127.0.0.1:0", boxes=BOX))
        site.relay.gone()
        for counter in (1, 2, 3):
            site.relay.take("demo-1", report(counter, sequence=counter))
        site.mirror.run(BOX)
        for counter in range(4, 12):  # what is shown by now must be on the disk
            site.relay.take("demo-1", report(counter, sequence=counter))

    folder = tmp_path / "noc-0"
    while cut_at(point, (folder,), live, vfat=tmp_path / "none"):
        kept = Reports(folder / "reports")
        if (folder / "repo/metadata/timestamp.json").exists():
            copy = Copy(tmp_path / f"taken-{point}", 1 << 40)
            assert Mirror(copy, Folder(folder), server.root).run(BOX).lacking == {}, point
        site = Site(Config("site", server.url, server.root, folder, "127.0.0.1:0", boxes=BOX))
        state, before = site.once(), len(server.reports)
        assert (state.words(0), state.waiting) == ("up to date", {}), point
        said = [each["counter"] for each in reports(server)]
        assert said == sorted(said) and not kept.waiting() and before <= 11
        server.reports.clear()
        point += 13
        folder = tmp_path / f"noc-{point}"
    assert point > 30


def jump(patch: pytest.MonkeyPatch, days: float) -> None:
    """Both clocks: Python's, and the one that python-tuf asks."""
    now = time.time

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(now() + days * DAY, tz)

    patch.setattr(time, "time", lambda: now() + days * DAY)
    patch.setattr(trusted_metadata_set, "datetime", SimpleNamespace(datetime=Clock, timezone=datetime.timezone))


def test_a_clock_that_jumps_ahead_and_back_costs_no_content_and_no_box_its_way(
    server: UpdateServer, tmp_path: Path
) -> None:
    with noc(tmp_path / "noc", server) as site:
        site.site.heard("demo-1")
        assert site.once().words(0) == "up to date"
        for days in (400, -400):
            with pytest.MonkeyPatch.context() as patch:
                jump(patch, days)
                state = site.once()
                assert days < 0 or "ExpiredMetadataError" in state.error
        state = site.once()
        assert (state.words(0), [*state.boxes], state.since) == ("up to date", ["demo-1"], 0)
        made = release(7, b"one")
        assert all(site.get(f"/layers/{root}").content == data for root, data in made.blobs.items())
        assert site.get("/metadata/timestamp.json").content == server.files["/metadata/timestamp.json"]


def test_reports_reach_an_origin_that_came_back_from_a_backup_as_nothing_else_tells_it_so(
    server: UpdateServer, tmp_path: Path
) -> None:
    old = dict(server.files)
    offer(server, release(8))
    with noc(tmp_path / "noc", server, boxes=BOX) as site:
        site.once()
        box = box_at(site.url, tmp_path / "box", server.root)
        assert settle(box).boot.sequence == 8
        server.files = old
        state = site.once()
        assert "BadVersionNumberError" in state.error and state.since
        before = len(server.reports)
        agent = settle(box)
        assert (agent.boot.sequence, agent.state, agent.error) == (8, State.IDLE, "")
        assert reports(server)[before:][-1]["trusted"]["timestamp"] == server.version
        assert site.says()["waiting"] == {}


def test_two_nocs_at_one_site_of_which_one_is_late_cost_a_box_a_wait_and_nothing_else(
    server: UpdateServer, tmp_path: Path
) -> None:
    with noc(tmp_path / "one", server, boxes=BOX) as one, noc(tmp_path / "two", server, boxes=BOX) as two:
        one.once()
        two.once()
        offer(server, release(8))
        one.once()
        box = box_at(one.url, tmp_path / "box", server.root)
        assert settle(box).boot.sequence == 8
        box.server = two.url
        agent = settle(box)
        assert agent.boot.sequence == 8 and "BadVersionNumberError" in agent.error
        two.once()
        agent = settle(box)
        assert (agent.boot.sequence, agent.error) == (8, "")


def test_behind_two_nocs_boxes_hear_that_the_origin_is_away_and_begin_no_trial(
    server: UpdateServer, tmp_path: Path
) -> None:
    with (
        noc(tmp_path / "near", server, boxes=BOX) as near,
        noc(tmp_path / "far", server, origin=near.url, boxes=BOX) as far,
    ):
        offer(server, release(8))
        near.once()
        far.once()
        server.leave()
        near.once()
        assert far.once().since == 0, "its own origin is there"
        box = box_at(far.url, tmp_path / "box", server.root)
        agent = settle(box)
        assert (agent.boot.sequence, agent.state, box.bootable()) == (7, State.IDLE, [7])
        assert "the site keeps the reports" in agent.error
        assert near.once().waiting["demo-1"] and far.once().waiting == {}
        server.come_back()
        near.once()
        far.once()
        assert settle(box).boot.sequence == 8
        assert reports(server)[-1]["sequence"] == 8
