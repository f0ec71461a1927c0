"""A box is ordered to wipe itself: the real agent, the real server and store, signed metadata between them (ADR 70)."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toweros_agent.host.disk import write
from toweros_agent.loop import Agent
from toweros_agent.machine import State
from toweros_agent.wiping import wiping as program
from toweros_agent.wiping.wiping import NO_DISK, STARTS_STILL, TOO_OLD, device_of

from gitops.model import Box, Fleet, Health, Policy, Spec
from gitops.model.machines.wiping import Wipe
from gitops.publish.targets import WIPE
from gitops.rollout.status import box_status
from gitops.workflows.enrolment import desk, wiping
from tests.kit.newcomers import Newcomer, Place, started
from tests.kit.newcomers import place as place  # noqa: PLC0414 - a fixture
from tests.simulators.box import drive

NAME, OTHER = "site-9", "cd" * 32


def fleet(key: str = "") -> Fleet:
    """What Git says of the box."""
    box = Box(NAME, "vm", Spec("", ""), wipe=Wipe(key, "ada: sold") if key else None)
    return Fleet(Policy(branch="main"), {}, {NAME: box})


def a_box(place: Place, folder: str = "box") -> Newcomer:
    """One that runs its release, and whose reports count."""
    made = place.publish(NAME, 5)
    machine = Newcomer(place.folder / folder, place.url, place.kit.signer.root, "7XK2Q13", "52:54:00:12:34:56")
    machine.install(made)
    desk.let_in(place.store, NAME, machine.public, replace=True)
    return machine


def idle(machine: Newcomer) -> Agent:
    agent = started(machine)
    drive(agent, State.IDLE)
    agent.step()
    return agent


def restarts(machine: Newcomer) -> int:
    """How often it asked to be started again in this boot and those before."""
    return machine.rebooted


def order(place: Place, key: str) -> None:
    """A pass of the controller with an order in Git."""
    place.kit.publisher.members = {WIPE: wiping.orders(fleet(key))}
    place.kit.publisher.publish([])


def shown(place: Place, key: str = "") -> str:
    wiping.follow(place.store, fleet(key or place_key(place)), int(time.time()))
    status = box_status(place.store, NAME, int(time.time()))
    return str(status.health) if status else "none"


def place_key(place: Place) -> str:
    row = place.store.boxes.row(NAME)
    return row.public_key if row else ""


def test_an_ordered_box_says_so_last_leaves_the_order_and_is_shown_as_wiped(place: Place) -> None:
    machine = a_box(place)
    agent = idle(machine)
    assert shown(place) == Health.HEALTHY
    order(place, machine.public)
    assert drive(agent, State.WIPING) == State.WIPING
    assert not (machine.disk / "state/wipe").exists() and not restarts(machine), "first it is said"
    assert shown(place) == Health.WIPED and "it said so with its own key" in place.told("Wiped")[0]
    agent.step()
    assert restarts(machine) == 1
    assert (machine.disk / "state/wipe").read_text().splitlines()[0] == machine.public
    report = place.store.boxes.report(NAME)
    assert report and report.phase == "wiping", "nothing comes after its last word"


def test_the_key_of_a_wiped_box_is_retired_and_a_machine_in_its_place_ends_the_word(place: Place) -> None:
    machine = a_box(place)
    agent = idle(machine)
    order(place, machine.public)
    drive(agent, State.WIPING)
    key, now = machine.public, int(time.time())
    wiping.follow(place.store, fleet(key), now)
    assert not place.store.boxes.row(NAME).revoked  # type: ignore[union-attr]
    wiping.follow(place.store, fleet(key), now + wiping.SETTLES + 60)
    assert place.store.boxes.row(NAME).revoked and shown(place) == Health.WIPED  # type: ignore[union-attr]
    agent.condition.refresh()
    assert "HTTP 403" in agent.reporter.send(agent.tell()), "a copy of its disk is nobody"
    desk.let_in(place.store, NAME, OTHER)
    assert shown(place, key) != Health.WIPED


@pytest.mark.parametrize("key", [OTHER, ""])
def test_an_order_for_another_machine_of_that_name_is_none(place: Place, key: str) -> None:
    """It stands in Git still when the next machine has the name: replayed to it, copied from another box's file."""
    machine = a_box(place)
    agent = idle(machine)
    order(place, key)
    for _ in range(3):
        agent.step()
    assert agent.state == State.IDLE and agent.error == "" and not restarts(machine)
    assert not [*machine.disk.glob("state/wip*")]


def test_an_order_that_nobody_signed_is_none(place: Place, tmp_path: Path) -> None:
    """Whoever sits in the server's place changes a word in the metadata."""
    machine = a_box(place)
    agent = idle(machine)
    order(place, OTHER)
    for file in place.store.paths.metadata.rglob("*.json"):
        text = file.read_bytes()
        if b"." in text and OTHER.encode() in text:
            file.write_bytes(text.replace(OTHER.encode(), machine.public.encode()))
    agent.step()
    assert agent.state == State.IDLE and agent.error.startswith("metadata: ") and not restarts(machine)


def test_cut_after_it_began_it_goes_on_at_the_next_start_without_a_network(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = a_box(place)
    agent = idle(machine)
    order(place, machine.public)
    drive(agent, State.WIPING)
    machine.server = "http://127.0.0.1:9"
    agent = started(machine)
    assert drive(agent, State.WIPING) == State.WIPING
    agent.step()
    assert not restarts(machine), "it waits for somebody who hears it"
    monkeypatch.setattr(program, "PATIENCE", 0.0)
    agent.step()
    assert restarts(machine) == 1 and (machine.disk / "state/wipe").exists()


def test_what_cannot_be_wiped_says_so_and_goes_on(place: Place) -> None:
    """An initrd of before, a box without a disk, an initrd that does not get it done."""
    machine = a_box(place)
    public = machine.public
    order(place, public)
    changes: list[tuple[Callable[[Agent], None], str]] = [
        (lambda agent: setattr(agent.wiping, "boot", replace(agent.boot, knows=())), TOO_OLD),
        (lambda agent: setattr(agent.wiping, "boot", replace(agent.boot, place="ram")), NO_DISK),
        (lambda agent: write(machine.disk / "state/wiping", f"{public} 3\n".encode()), STARTS_STILL),
    ]
    for change, why in changes:
        agent = started(machine)
        change(agent)
        for _ in range(3):
            agent.step()
        assert agent.state == State.IDLE and why in agent.tell().degraded and not restarts(machine)
    (machine.disk / "state/wiping").write_text(f"{OTHER} 3\n")
    assert drive(started(machine), State.WIPING) == State.WIPING, "what another machine began is no matter of this one"


def test_a_box_that_says_so_unasked_is_not_wiped(place: Place) -> None:
    """Whoever has its key would hide that it is gone."""
    machine = a_box(place)
    agent = idle(machine)
    order(place, machine.public)
    drive(agent, State.WIPING)
    wiping.follow(place.store, fleet(), int(time.time()))
    status = box_status(place.store, NAME, int(time.time()) + 3600)
    assert status and status.health == Health.MISSING


def test_a_disk_that_cannot_be_written_destroys_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = a_box(place)
    agent = idle(machine)
    order(place, machine.public)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(program, "write", full)
    for _ in range(3):
        agent.step()
    assert "No space left" in agent.error and not restarts(machine)


def test_the_device_of_the_data_is_told_by_its_place_in_the_machine(tmp_path: Path) -> None:
    sys, device = tmp_path / "sys", tmp_path / "sys/devices/pci0000:00/virtio2/block/vdb"
    device.mkdir(parents=True)
    (sys / "dev/block").mkdir(parents=True)
    (sys / "dev/block/253:16").symlink_to("../../devices/pci0000:00/virtio2/block/vdb")
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:5 / /sys rw - sysfs sysfs rw\n40 1 253:16 / /state ro - ext4 /dev/vdb rw\n")
    assert device_of(mounts, Path("/state"), sys) == "devices/pci0000:00/virtio2/block/vdb"
    assert device_of(mounts, Path("/sys"), sys) == device_of(tmp_path / "none", Path("/state"), sys) == ""
