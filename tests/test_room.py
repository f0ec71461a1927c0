"""A release that a box's disk cannot take is refused for that box alone, with both figures, before it is published."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import PublishError
from gitops.model import Health, HoldReason
from gitops.model.room import MIB, Room, together
from gitops.publish import Publisher
from gitops.publish.disks import Disks
from gitops.rollout.status import box_status
from gitops.sign import Signer
from gitops.store.notes.box_keys import BoxDisk
from tests.kit.site import HELLO, Site

LARGE = BoxDisk(2048 * MIB, 256 * MIB, made=True)
ONE_A_DAY = "source: {branch: main}\nrollout: {canaries: 1}\n"


def everybody_reports(site: Site) -> None:
    for box in site.offers():
        site.report(box)


def give(site: Site, box: str, disk: BoxDisk) -> None:
    with site.store.lease.held():
        site.store.notes.put(disk, box)


def started(site: Site) -> dict[str, str]:
    """All run the first release. Returns what they are offered."""
    site.commit({"fleet.yaml": ONE_A_DAY})
    site.run()
    everybody_reports(site)
    return site.offers()


@pytest.mark.parametrize("small", [BoxDisk(4096, 256 * MIB, made=True), BoxDisk(32 * MIB, 256 * MIB)])
@pytest.mark.parametrize("box", ["a", "b", "c"])
def test_a_disk_that_is_too_small_is_named_with_both_figures_and_the_others_go_on(
    site: Site, box: str, small: BoxDisk
) -> None:
    """`a` would be the canary: nobody waits for it. As `box image` made the disk, or as the box reports it."""
    before = started(site)
    give(site, box, small)
    site.commit(HELLO)
    offered: set[str] = set()
    for _ in range(3):
        done = site.run()
        offered |= {*done.published}
        everybody_reports(site)
    assert offered == {"a", "b", "c"} - {box} and site.offers()[box] == before[box]
    assert done.held[box].reason is HoldReason.CANNOT_BE_OFFERED
    assert "the layers need 1 MiB of TOWEROS, which has room for 0 MiB" in done.held[box].detail
    status = box_status(site.store, box, 0)
    assert status and "TOWEROS" in status.held, "`toweros status` says it"
    give(site, box, LARGE)
    assert site.run().published == (box,), "another disk is all that it takes"


def test_one_canary_goes_first_also_when_another_cannot(site: Site) -> None:
    started(site)
    give(site, "a", BoxDisk(4096, 256 * MIB, made=True))
    site.commit(HELLO)
    assert site.run().published == ("b",)
    site.report("b", Health.DEGRADED)
    done = site.run()
    assert done.published == () and done.held["c"].reason is HoldReason.WAITS_FOR_CANARY


def test_what_a_box_keeps_counts(site: Site) -> None:
    """What it runs and what it would go back to stay on the disk until the new release is proven; each layer once."""
    started(site)
    store = site.store
    first = store.offers.published("a")
    site.commit(HELLO)
    site.run()
    everybody_reports(site)
    site.commit({"pkg/hello/file": "hello 3\n"})
    site.run()
    third, second = store.offers.published("a"), store.boxes.report("a")
    assert first and third and second
    running = store.release(second.release)
    kept = together(each.layers() for each in (first.release, running, third.release))
    assert kept == sum(layer.size for layer in third.release.layers()) + 2 * 4096, "hello is another each time"
    exact = BoxDisk(_partition(kept), 256 * MIB, made=True, back=first.document.sha256)
    give(site, "a", exact)
    assert Disks(store).shortage(third) == ""
    give(site, "a", replace(exact, toweros=exact.toweros - 2048))
    assert "TOWEROS" in Disks(store).shortage(third)
    give(site, "a", replace(exact, toweros=exact.toweros - 2048, back="0" * 64))
    assert Disks(store).shortage(third) == "", "what is no longer in the store counts nothing"


def test_three_ukis_of_which_one_is_new_have_to_fit_the_esp_that_the_box_has(site: Site) -> None:
    started(site)
    give(site, "b", BoxDisk(2048 * MIB, 4096))
    site.commit(HELLO)
    for _ in range(2):
        done = site.run()
        everybody_reports(site)
    assert "three UKIs need 1 MiB of the ESP, which has room for 0 MiB" in done.held["b"].detail


def test_of_a_disk_that_nobody_knows_nothing_is_said(site: Site) -> None:
    """A box from before disks were reported, or one that has none yet: it refuses by itself what does not fit."""
    started(site)
    site.commit(HELLO)
    assert site.run().held.keys() == {"b", "c"}  # behind their canary


def test_who_publishes_by_hand_is_told_too(site: Site) -> None:
    started(site)
    give(site, "a", BoxDisk(4096, 256 * MIB, made=True))
    store = site.store
    release = store.offers.published("a")
    assert release
    with store.lease.held(), pytest.raises(PublishError, match="a: the layers need"):
        Publisher(store, Signer.open(site.settings.keys, store)).publish([release])


def test_a_partition_and_a_file_system_have_room_for_about_the_same() -> None:
    """What ext4 makes of 2048 MiB has 1950 MiB of blocks (mke2fs -m 1, a journal of 64 MiB)."""
    made, reported = Room.of_partitions(2048 * MIB, 256 * MIB), Room.of_file_systems(1950 * MIB, 252 * MIB)
    assert abs(made.layers - reported.layers) < 32 * MIB and made.boot == reported.boot


def test_the_figures_are_rounded_up_so_that_they_never_look_alike(tmp_path: Path) -> None:
    room = Room(100 * MIB, 252 * MIB)
    assert room.shortage(100 * MIB * 32 // 33, 84 * MIB) == ""
    assert "need 101 MiB of TOWEROS, which has room for 100 MiB" in room.shortage(100 * MIB * 32 // 33 + 4096, 1)
    assert "three UKIs need 253 MiB of the ESP, which has room for 252 MiB" in room.shortage(1, 84 * MIB + 1)


def _partition(layers: int) -> int:
    """The smallest one whose room the layers fill."""
    return -(-(layers * 33 // 32) * 16 // 15)
