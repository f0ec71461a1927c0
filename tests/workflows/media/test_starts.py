"""Starts by the network: a release that does not come up gives way to the one before, and nobody else decides that."""

import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitops.assemble.release import INITRD
from gitops.assemble.toolbox import Toolbox
from gitops.errors import StoreError, TowerosError
from gitops.model import Box, Fleet, Health, Hold, HoldReason, Image, Policy, Publication, Spec
from gitops.rollout import holds
from gitops.rollout.netboot import APART, PAUSE
from gitops.sign import Signer
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.netboot import BootSet, BootSets, Starts
from gitops.workflows.journal import Journal
from gitops.workflows.media import tools
from gitops.workflows.media.handing import by_itself, hand_out
from gitops.workflows.media.netboot import Netboot
from gitops.workflows.media.starts import OfStore, held_back
from tests.kit.netboot import MAC, NEW, NEWER, OLD, UUID, Diskless, boot_set
from tests.kit.site import Site

NOW = 1_800_000_000
MINUTES = 120
"""Seconds from one start that fails to the next."""


@pytest.fixture
def box(tmp_path: Path) -> Diskless:
    made = Diskless(Store.open(tmp_path))
    made.offer(NEW, OLD)
    made.says(NOW - 3600, "boot of before", OLD)
    return made


def no_tools() -> Toolbox:
    raise AssertionError("nothing is made here")


def handed(box: Diskless, now: int) -> str:
    found = hand_out(OfStore(box.store), box.name, now)
    assert found
    return found.release


def times(box: Diskless, count: int, since: int, apart: int = MINUTES) -> list[str]:
    return [handed(box, since + index * apart) for index in range(count)]


def test_after_three_starts_without_a_healthy_report_the_one_before_is_handed_out(box: Diskless) -> None:
    assert times(box, 5, NOW) == [NEW, NEW, NEW, OLD, OLD]
    told = [event.message for event in box.store.events.latest(box.name)]
    assert told == ["release 8 was started three times by the network, and no Healthy report came; "
                    "release 7 is handed out"]  # fmt: skip
    assert "three times" in held_back(box.store, box.name, NOW + 5 * MINUTES), "and the box that runs it stays with it"


def installed(box: Diskless) -> None:
    """The network puts it onto its disk."""
    kept = box.store.notes.get(BootSets, box.name)
    assert kept
    files = box.store.blobs.put(b"for the disk")
    box.store.notes.put(BootSets(tuple(replace(each, files=files) for each in kept.sets), NOW - 60), box.name)


def test_a_box_that_said_it_runs_from_its_disk_starts_from_there(box: Diskless) -> None:
    box.says(NOW - 3000, "boot of another machine", NEW, entry="toweros-8.efi")
    installed(box)
    assert not by_itself(OfStore(box.store), box.name, NOW), "it has not run from a disk since then"
    box.says(NOW, "installed", NEW, entry="toweros-8.efi")
    for index in range(5):
        assert by_itself(OfStore(box.store), box.name, NOW + index * 1000)
        box.says(NOW + index * 1000 + 60, f"boot {index}", NEW, entry="toweros-8.efi")
    assert held_back(box.store, box.name, NOW + 6000) == "", "it updates itself, as any box with a disk"


def test_a_disk_that_does_not_come_up_three_times_is_installed_again(box: Diskless) -> None:
    installed(box)
    box.says(NOW, "installed", NEW, entry="toweros-8.efi")
    tries = [by_itself(OfStore(box.store), box.name, NOW + 60 + index * MINUTES) for index in range(4)]
    assert tries == [True, True, True, False]
    assert handed(box, NOW + 4 * MINUTES) == NEW
    box.says(NOW + 5 * MINUTES, "installed again", NEW, entry="toweros-8.efi")
    assert by_itself(OfStore(box.store), box.name, NOW + 6 * MINUTES)


def test_a_release_whose_tries_all_fail_is_not_installed_over_the_one_before(box: Diskless) -> None:
    """The tries of a trial look like a disk that does not come up; the next start is to be of the one before."""
    installed(box)
    box.says(NOW, "installed", OLD, entry="toweros-7.efi")
    assert [by_itself(OfStore(box.store), box.name, NOW + 60 + index * MINUTES) for index in range(4)] == [True] * 3 + [
        False
    ]
    assert handed(box, NOW + 5 * MINUTES) == OLD
    assert by_itself(OfStore(box.store), box.name, NOW + 6 * MINUTES), "once; then its disk has its turn"


def test_who_only_looks_counts_no_start_of_a_disk(box: Diskless) -> None:
    installed(box)
    box.says(NOW, "installed", NEW, entry="toweros-8.efi")
    assert all(by_itself(OfStore(box.store), box.name, NOW + 60 + index * MINUTES, count=False) for index in range(9))


def test_a_box_without_install_never_starts_from_a_disk(box: Diskless) -> None:
    """An ESP on its disk is another system's."""
    box.says(NOW, "this boot", NEW, entry="toweros-8.efi")
    assert not by_itself(OfStore(box.store), box.name, NOW + 60)


def test_a_healthy_report_begins_the_count_anew(box: Diskless) -> None:
    assert times(box, 2, NOW) == [NEW, NEW]
    box.says(NOW + 300, "first boot", NEW)
    assert times(box, 4, NOW + 400) == [NEW, NEW, NEW, OLD]


def test_a_box_that_comes_up_ill_is_counted(box: Diskless) -> None:
    for index in range(3):
        assert handed(box, NOW + index * MINUTES) == NEW
        box.says(NOW + index * MINUTES + 60, f"boot {index}", NEW, Health.DEGRADED)
    assert handed(box, NOW + 3 * MINUTES) == OLD


def test_requests_of_others_do_not_count_against_a_box_that_lives(box: Diskless) -> None:
    """A MAC is no secret. Who is in one boot before and after cannot have asked in between."""
    box.says(NOW, "this boot", OLD)
    assert times(box, 10, NOW + 60)[-1] == OLD, "for now, anybody can"
    box.says(NOW + 1300, "this boot", OLD, Health.DEGRADED)
    assert held_back(box.store, box.name, NOW + 1301) == ""
    assert handed(box, NOW + 1400) == NEW


def test_a_flood_counts_once_a_minute_and_makes_no_box_fall_back_for_ever(box: Diskless) -> None:
    writes = set()
    for second in range(0, 130):
        assert handed(box, NOW + second) == (NEW if second <= 2 * APART else OLD)
        kept = box.store.notes.get(Starts, box.name)
        assert kept and len(kept.starts) <= 3
        writes.add(kept)
    assert len(writes) == 4, "three starts, each of them APART seconds after the one before, and what came of it"
    assert handed(box, NOW + 131) == OLD
    assert handed(box, NOW + 2 * APART + PAUSE) == NEW, "it is tried again"


def test_a_new_release_is_started_whatever_became_of_the_last(box: Diskless) -> None:
    times(box, 4, NOW)
    box.offer(NEWER, OLD)
    assert handed(box, NOW + 5 * MINUTES) == NEWER
    assert held_back(box.store, box.name, NOW + 5 * MINUTES) == ""


def test_where_nothing_ever_came_up_the_newest_is_handed_out_for_ever(tmp_path: Path) -> None:
    """A box without a key says nothing that is believed: there is nothing to fall back to."""
    box = Diskless(Store.open(tmp_path))
    box.offer(NEW)
    assert set(times(box, 20, NOW)) == {NEW}
    assert held_back(box.store, box.name, NOW + 20 * MINUTES) == ""


def test_a_clock_that_jumped_back_holds_no_box(box: Diskless) -> None:
    times(box, 4, NOW)
    assert handed(box, NOW - 86400) == NEW


def test_strangers_leave_nothing_behind(box: Diskless) -> None:
    assert OfStore(box.store).machine(["52:54:00:00:00:01"]) == ""
    assert hand_out(OfStore(box.store), "nobody", NOW) is None
    assert box.store.notes.each(Starts) == {}
    assert (OfStore(box.store).machine([MAC]), OfStore(box.store).machine(["x", UUID])) == ("demo-1", "demo-1")


def test_a_store_that_takes_nothing_costs_the_count_and_no_start(
    box: Diskless, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(box.store.notes, "put", full)
    monkeypatch.setattr(box.store.events, "add", full)
    assert set(times(box, 6, NOW)) == {NEW}


def test_a_box_that_is_held_starts_what_it_ran(box: Diskless) -> None:
    """A machine with a disk would stay with it over a power cut, too."""
    holds.hold(box.store, box.name, "ada", "hardware on the way", NOW)
    assert times(box, 5, NOW) == [OLD] * 5, "at once, before a pass saw it"
    assert box.store.notes.get(Starts, box.name) is None, "what it was not handed does not count"
    holds.let_go(box.store, box.name, "ada")
    box.store.holds.save({box.name: Hold(HoldReason.SUSPENDED, "fleet.yaml")})
    assert handed(box, NOW) == OLD
    box.store.holds.save({})
    holds.hold(box.store, holds.ALL, "ada", "no releases today", NOW)
    assert handed(box, NOW) == OLD
    holds.let_go(box.store, holds.ALL, "ada")
    assert handed(box, NOW) == NEW


def test_a_box_that_is_held_and_runs_the_newest_stays_with_it(box: Diskless) -> None:
    box.says(NOW - 60, "this boot", NEW)
    holds.hold(box.store, box.name, "ada", "hardware on the way", NOW)
    assert times(box, 2, NOW) == [NEW, NEW]


def test_a_damaged_count_costs_no_start(box: Diskless) -> None:
    times(box, 2, NOW)
    damage(box.store, "netboot-starts/demo-1")
    assert times(box, 4, NOW + 4 * MINUTES) == [NEW, NEW, NEW, OLD]


def test_what_a_pass_wrote_for_the_network_is_made_again_when_it_is_damaged(box: Diskless) -> None:
    """One damaged document must neither end every pass, nor stay."""
    signer: Any = None
    follower = Netboot(box.store, signer, Journal(box.store), no_tools)
    fleet = Fleet(Policy(branch="main"), {}, {box.name: Box(box.name, "vm", Spec("", ""), netboot={"mac": MAC})})
    for name in ("netboot", "netboot/demo-1"):
        damage(box.store, name)
        follower.follow(fleet)
    assert OfStore(box.store).machine([MAC]) == box.name


def test_a_pass_that_is_stopped_leaves_nothing_of_a_box_that_has_a_disk_now(
    box: Diskless, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer: Any = None
    without = Fleet(Policy(branch="main"), {}, {})
    for call in range(3):
        with monkeypatch.context() as patch:
            _stop_at(patch, box.store, call)
            with pytest.raises(KeyboardInterrupt):
                Netboot(box.store, signer, Journal(box.store), no_tools).follow(without)
    Netboot(box.store, signer, Journal(box.store), no_tools).follow(without)
    assert hand_out(OfStore(box.store), box.name, NOW) is None and box.store.notes.each(BootSets) == {}


def test_a_box_that_is_handed_something_else_than_it_is_offered_is_told_to_stay(site: Site) -> None:
    """It would start again every ten minutes: an agent in memory cannot know that what is offered is not there yet."""
    offered = netbooted(site)
    fleet = Fleet(Policy(branch="main"), {}, {"b": Box("b", "vm", Spec("", ""), netboot={"mac": MAC})})
    follower = Netboot.of(site.settings, site.store, Signer.open(site.settings.keys, site.store), Journal(site.store))
    assert follower.holds(fleet) == {}
    old = boot_set(site.store, "0" * 64, proven=True)
    site.store.notes.put(BootSets((old,)), "b")
    assert "by the network is not made" in follower.holds(fleet)["b"]
    new = replace(old, release=offered, trouble="iPXE cannot")
    site.store.notes.put(BootSets((new, old)), "b")
    assert follower.holds(fleet) == {}, "UEFI can"
    site.store.notes.put(BootChecked(False), "b")
    assert "no BIOS can start release 0 by the network: iPXE cannot" in follower.holds(fleet)["b"]


def test_an_older_initrd_that_installs_nothing_by_the_network_is_told(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would refuse the words that it does not know, again and again."""
    with tarfile.open(tmp_path / "initrd.tar", "w") as older:
        older.addfile(tarfile.TarInfo("init"))
    layer = site.store.blobs.put((tmp_path / "initrd.tar").read_bytes())
    monkeypatch.setattr(tools, "images", lambda *_: {INITRD: Image("@pkg:initrd", "", {}, (layer.sha256,))})
    site.commit({"boxes/b.yaml": f"role: vm\nnetboot: {{mac: '{MAC}', install: largest}}\n"})
    site.run()
    told = [event.message for event in site.store.events.latest("b") if event.reason == "Netboot"]
    assert told and "an older one, which installs nothing by the network" in told[0]
    assert hand_out(OfStore(site.store), "b", NOW) is None


def test_while_git_is_away_what_the_rollout_offers_can_be_started(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    netbooted(site)
    site.commit({"pkg/hello/file": "hello 2\n"})
    site.run()
    before = site.offers()["b"]
    away = site.remote.bare.rename(site.remote.bare.with_name("away"))
    site.report("a")
    with pytest.raises(TowerosError):
        site.run()
    away.rename(site.remote.bare)
    assert site.offers()["b"] != before
    sets = site.store.notes.get(BootSets, "b")
    published = site.store.offers.published("b")
    assert sets and published and sets.sets[0].release == published.release.digest


def netbooted(site: Site) -> str:
    """The box b of a site is one that the network starts, and everything is up to date; what it is offered."""
    site.commit({"boxes/b.yaml": f"role: vm\nnetboot: {{mac: '{MAC}'}}\n"})
    site.run()
    for box in ("a", "b", "c"):
        site.report(box)
    site.run()
    published = site.store.offers.published("b")
    assert published
    return published.release.digest


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts a site's releases: their own files are played."""

    def made(follower: Netboot, publication: Publication, made_of: str, install: str) -> BootSet:
        release = publication.release
        small = boot_set(follower._store, "0" * 64)
        return replace(small, release=release.digest, sequence=release.sequence, made_of=made_of)

    monkeypatch.setattr(Netboot, "_make", made)


def _stop_at(patch: pytest.MonkeyPatch, store: Store, call: int) -> None:
    """The pass is killed instead of its write number `call`."""
    calls = iter(range(9))

    def killing(write: Callable[..., Any]) -> Callable[..., Any]:
        def once(*said: Any) -> Any:
            if next(calls) == call:
                raise KeyboardInterrupt
            return write(*said)

        return once

    for each in ("put", "forget"):
        patch.setattr(store.notes, each, killing(getattr(store.notes, each)))


def damage(store: Store, name: str) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = ?", (name,))
