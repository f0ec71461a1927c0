"""What is wrong with what the boxes run: by role, with the first sighting and the time that a fix took."""

import re
import time
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from gitops.fleet import load_fleet
from gitops.model import Component, Ecosystem, Fleet, Inventory
from gitops.server import create_app
from gitops.settings import Feed
from gitops.store.notes.documents import BoxInventories, Exposures, Unknown
from gitops.workflows.security import exposures
from gitops.workflows.security.advisories import Advisories
from gitops.workflows.security.exposures import SecurityWatch, look
from tests.kit.databases import both
from tests.kit.feeds import resolved, tracker, unfixed, write
from tests.kit.site import FILES, HELLO, Site, site
from tests.simulators.tree import DictTree

__all__ = ["site"]
STATEMENT = """\
statements:
- vulnerability: CVE-2026-1
  status: not_affected
  author: ada
  until: "2027-01-01"
  justification: component_not_present
"""
NOW = 1_795_000_000
FLEET = load_fleet(DictTree(FILES))


def inventory(version: str) -> Inventory:
    return Inventory((Component(Ecosystem.debian, "libssl3", version, "openssl", version),), (), "debian:13")


class Watched:
    """A site whose boxes hold one version of openssl or another."""

    def __init__(self, site: Site) -> None:
        self.site, self.store = site, site.store
        self.place = site.folder / "tracker.json"
        self.say({"CVE-2026-1": resolved("2", "high"), "CVE-2026-2": unfixed("low"), "CVE-2026-3": resolved("1")})
        self.advisories = Advisories(self.store, [Feed(name="debian", place=str(self.place))])

    def say(self, rows: dict[str, dict[str, object]]) -> None:
        write(self.place, tracker({"openssl": rows}))

    def holds(self, box: str, version: str) -> None:
        """What the box is offered now has this version inside."""
        digest = self.store.blobs.put(inventory(version).encode()).sha256
        content = self.site.contents()[box]
        before = self.store.notes.get(BoxInventories, box) or BoxInventories()
        kept = tuple(row for row in before.releases if row[0] != content)
        self.store.notes.put(BoxInventories((*kept, (content, digest))), box)

    def look(self, now: int, fleet: Fleet = FLEET) -> Exposures:
        self.advisories.refresh(now)
        return look(self.store, fleet, self.advisories, now)


@pytest.fixture
def watched(site: Site) -> Watched:
    site.run()
    made = Watched(site)
    for box in "abc":
        made.holds(box, "1")
    return made


@both
def test_from_the_first_sighting_to_the_last_box(watched: Watched) -> None:
    first = watched.look(NOW).roles["vm"]
    assert (first.boxes, first.open, first.fixable, first.oldest) == (3, {"high": 1, "low": 1}, 1, NOW)
    assert first.unknown == ()
    watched.look(NOW + 100)
    for box in "abc":
        watched.site.report(box)
    watched.site.commit(HELLO)
    watched.site.run()
    watched.holds("a", "2")
    watched.site.report("a")
    assert watched.look(NOW + 200).roles["vm"].open == {"high": 1, "low": 1}, "b and c run what they ran"
    watched.site.run()
    for box in "bc":
        watched.holds(box, "2")
        watched.site.report(box)
    last = watched.look(NOW + 300)
    assert last.roles["vm"].open == {"low": 1} and last.roles["vm"].oldest == NOW
    assert last.fixed == {"high": (1, 300)}


def test_a_box_whose_inside_nobody_knows_makes_nothing_clean(watched: Watched) -> None:
    watched.look(NOW)
    watched.store.notes.put(BoxInventories(), "b")
    for box in "ac":
        watched.holds(box, "2")
    found = watched.look(NOW + 100)
    assert found.roles["vm"].unknown == (Unknown("1 box", "nobody knows what is inside, such as b"),)
    assert found.fixed == {} and len(watched.store.sightings.current()) == 2


def test_a_feed_that_was_lost_makes_nothing_clean(watched: Watched) -> None:
    watched.look(NOW)
    watched.place.unlink()
    renamed = Advisories(watched.store, [Feed(name="other", place=str(watched.place))])
    renamed.refresh(NOW + 100)
    found = look(watched.store, FLEET, renamed, NOW + 100)
    assert found.roles["vm"].unknown[0].about == "feed other" and found.fixed == {}
    assert len(watched.store.sightings.current()) == 2


def test_a_statement_takes_a_vulnerability_out_of_the_count_and_not_out_of_the_record(watched: Watched) -> None:
    fleet = load_fleet(DictTree({**FILES, "security/vex/a.yaml": STATEMENT}))
    assert watched.look(NOW, fleet).roles["vm"].open == {"low": 1}
    assert len(watched.store.sightings.current()) == 2
    after = NOW + 90 * 24 * 3600
    watched.say({"CVE-2026-1": resolved("2", "high"), "CVE-2026-2": resolved("1"), "CVE-2026-3": resolved("1")})
    assert watched.look(after, fleet).roles["vm"].open == {"high": 1}, "its last day is over"


def test_a_role_without_boxes_any_more_is_rid_of_everything(watched: Watched) -> None:
    watched.look(NOW)
    files = {name: text for name, text in FILES.items() if not name.startswith("boxes/")}
    assert watched.look(NOW + 50, load_fleet(DictTree(files))).roles == {}
    assert watched.store.sightings.current() == []


def test_the_page_the_metrics_and_the_api_tell_it(watched: Watched) -> None:
    watched.look(NOW)
    watched.store.notes.put(BoxInventories(), "b")
    watched.place.write_text("{")
    watched.look(NOW + 4000)
    web = TestClient(create_app(watched.store, watched.site.settings))
    metrics = web.get("/metrics").text
    for line in (
        'toweros_open_advisories{role="vm",severity="high"} 1.0',
        'toweros_fixable_advisories{role="vm"} 1.0',
        'toweros_advisories_known{role="vm"} 0.0',
        'toweros_feed_failing{feed="debian"} 1.0',
    ):
        assert line in metrics, line
    assert re.search(r'toweros_oldest_advisory_timestamp_seconds\{role="vm"\} 1\.795e\+09', metrics)
    page = web.get("/advisories").text
    assert 'id="role-vm"' in page and "not known" in page
    assert '<b class="bad">Feed debian</b> tracker.json cannot be read' in page
    said = web.get("/api/v1/security").json()
    assert said["roles"]["vm"]["open"] == {"high": 1, "low": 1} and said["feeds"]["debian"]["error"]


def test_the_watch_looks_in_a_thread_of_its_own_and_never_raises(watched: Watched) -> None:
    settings = watched.site.settings.model_copy(update={"feeds": (Feed(name="debian", place=str(watched.place)),)})
    watch = SecurityWatch(watched.store, settings)
    watch.start(FLEET)
    assert watch._thread
    watch._thread.join(30)
    found = watched.store.notes.get(Exposures)
    assert found and found.roles["vm"].open["high"] == 1
    for path in (watched.site.settings.state / "blobs" / "sha256").glob("*"):
        path.write_bytes(b"damaged")
    watch.look(FLEET)
    doubted = watched.store.notes.get(Exposures)
    assert doubted and doubted.roles["vm"].unknown, "what can no longer be read is not clean"
    assert len(watched.store.sightings.current()) == 2


def test_a_look_that_fails_leaves_no_green_page(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.look(NOW)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exposures, "look", fails)
    SecurityWatch(watched.store, watched.site.settings).look(FLEET)
    found = watched.store.notes.get(Exposures)
    assert found and found.roles["vm"].open == {"high": 1, "low": 1}
    assert [(each.about, each.since) for each in found.roles["vm"].unknown] == [("the last look", NOW)]


def test_the_time_of_a_slow_feed_does_not_put_off_the_next_look(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = SecurityWatch(watched.store, watched.site.settings)
    monkeypatch.setattr(Advisories, "refresh", lambda *_: time.sleep(1.0))
    watch.look(FLEET)
    assert watch._resume - time.monotonic() < 50


def test_a_vendor_s_package_of_which_nobody_speaks_was_not_mended(watched: Watched) -> None:
    watched.look(NOW)
    component = Component(Ecosystem.debian, "libssl3", "1", "openssl", "1", distribution="vendor.example")
    digest = watched.store.blobs.put(Inventory((component,), (), "debian:13").encode()).sha256
    for box in "abc":
        content = watched.site.contents()[box]
        watched.store.notes.put(BoxInventories(((content, digest),)), box)
    found = watched.look(NOW + 100)
    assert found.roles["vm"].unknown[0].about == "vendor.example" and found.fixed == {}


def test_a_pass_starts_it(watched: Watched) -> None:
    controller, store, _ = replace(
        watched.site,
        settings=watched.site.settings.model_copy(update={"feeds": (Feed(name="debian", place=str(watched.place)),)}),
    ).start()
    with store.lease.held():
        controller.run_once()
        controller._look_for_vulnerabilities()
    assert controller._security._thread
    controller._security._thread.join(30)
    assert (store.notes.get(Exposures) or Exposures()).roles["vm"].open["high"] == 1
