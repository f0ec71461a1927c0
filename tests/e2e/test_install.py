"""An empty disk becomes a box's by a medium that settles it, on real machines: by UEFI under Secure Boot and by BIOS.

Each machine loses its power as soon as the disk is its own, and starts from that alone. Where else it may be cut is
told without a machine by `tests/pkg/test_settle.py`.
"""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gitops.cli.media import vm
from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine
from gitops.lab.netbooted import ANY_MAC, netbooted
from gitops.lab.stand_in import StandIn
from gitops.process import run
from gitops.workflows.enrolment import desk
from gitops.workflows.enrolment.desk import Request
from gitops.workflows.media.medium import box_medium
from tests.e2e.field import BOX, LONG, STATIC, Field

pytestmark = [pytest.mark.e2e, pytest.mark.boot]
MIB = 1 << 20
SPACE = 3 << 30
"""Bytes: 256 MiB, 2 GiB and the rest."""
PLACE = "pci-0000:00:01.0"
"""Of vda, as udev calls it."""
STRANGERS = {"ESP": 40, "TOWEROS": 40, "STATE": 40}
"""MiB of the partitions of another box's disk."""
SETTLED = "initrd: vda is settled: the medium can be taken out"


@pytest.fixture(scope="module")
def medium(field: Field, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The box's, with a key: it goes onto the disk in one place. Whatever disk it had before is not heard any more."""
    path = tmp_path_factory.mktemp("medium") / f"{BOX}.iso"
    field.store.boxes.revoke(BOX)
    box_medium(field.settings, field.store, BOX, path, key=True, install=PLACE)
    yield path
    path.unlink()


def empty(disk: Path, size: int = SPACE) -> Path:
    """A disk with nothing on it, unless it is there."""
    if not disk.exists():
        with disk.open("wb") as stream:
            stream.truncate(size)
    return disk


def strangers(disk: Path) -> Path:
    """Another box's disk, with partitions that have the names of ours, unless it is there. The kernel has it first."""
    if not disk.exists():
        with disk.open("wb") as stream:
            stream.truncate((sum(STRANGERS.values()) + 2) * MIB)
        at = 1
        for number, (name, size) in enumerate(STRANGERS.items(), 1):
            run(["sgdisk", "-n", f"{number}:{at}MiB:+{size}MiB", "-c", f"{number}:{name}", disk])
            if name == "ESP":
                geometry = ["-T", str(size * 2048), "-h", "4", "-s", "32"]
                run(["mformat", "-i", f"{disk}@@{at * MIB}", *geometry, "::"])
            else:
                run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={at * MIB}", disk, f"{size}m"])
            at += size
    return disk


def machine(field: Field, folder: Path, medium: Path | None, *, bios: bool) -> Machine:
    """With a disk that is empty at first, and another box's."""
    folder.mkdir(exist_ok=True)
    empty(folder / "disk.raw")
    other = f"if=none,id=other,format=raw,file={strangers(folder / 'other.raw')}"
    more = ["-drive", other, "-device", "ide-hd,bus=ide.2,drive=other"]
    hardware = field.machine_in(folder).hardware
    return Machine(folder, replace(hardware, variables=None if bios else hardware.variables, medium=medium, more=more))


def cut_at(machine: Machine, words: str) -> None:
    """Its power is gone as soon as it says this."""
    before = len(machine.output())
    with machine:
        machine.wait_for(words, LONG, after=before)
        machine.power_cut()


def names(disk: Path) -> list[str]:
    """Of its partitions."""
    said = subprocess.run(["sgdisk", "--print", disk], check=True, capture_output=True, text=True).stdout
    return [line.split()[-1] for line in said.splitlines() if line.strip()[:1].isdigit()]


def test_by_uefi_under_secure_boot_the_disk_in_that_place_is_installed_and_starts_alone_and_is_healthy(
    field: Field, medium: Path, tmp_path: Path
) -> None:
    """Another box's disk stays in the machine: nothing of it is taken, nor written."""
    before = sha256(strangers(tmp_path / "other.raw").read_bytes()).digest()
    cut_at(machine(field, tmp_path, medium, bios=False), SETTLED)
    assert names(tmp_path / "disk.raw") == ["ESP", "TOWEROS", "STATE"]
    with machine(field, tmp_path, None, bios=False) as alone:
        report = field.wait_healthy(int(time.time()))
        assert report.firmware and report.firmware["secure_boot"] and not report.degraded
        assert field.boot_json()["repaired"] == [], "the medium brought every layer"
        assert "missing or damaged" not in alone.output()
    assert sha256((tmp_path / "other.raw").read_bytes()).digest() == before


def test_by_bios_a_machine_that_is_cut_before_the_disk_has_grub_goes_on_to_the_medium(
    field: Field, medium: Path, tmp_path: Path
) -> None:
    """The disk comes first for the firmware, as after an installation."""
    cut_at(machine(field, tmp_path, medium, bios=True), "initrd: the box has the medium's key")
    assert names(tmp_path / "disk.raw") == ["BIOS", "ESP-new", "TOWEROS-new", "STATE-new"]
    cut_at(machine(field, tmp_path, medium, bios=True), "initrd: settling vda: TowerOS")


def test_vm_run_starts_the_medium_beside_an_empty_disk_or_alone(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing: the medium and the disk are made."""
    seen, stand_in = list[Hardware](), StandIn(field.settings, BOX)

    def look(machine: Machine) -> None:
        assert machine.running
        seen.append(machine.hardware)

    monkeypatch.setattr(vm, "attach", look)
    try:
        vm.run(BOX, reset=True, iso=True, install="largest", config=field.config)
        vm.run(BOX, iso=True, bios=True, config=field.config)
        beside, alone = seen
        assert beside.medium == stand_in.folder / "medium-largest.iso" and beside.disk == stand_in.empty_disk()
        assert alone.optical and alone.disk == stand_in.folder / "medium.iso" and alone.variables is None
    finally:
        stand_in.forget()


def asking(field: Field, since: int) -> list[Request]:
    """Keys that want to be let in, and asked since then."""
    return [each for each in desk.requests(field.store, int(time.time()), BOX) if each.first >= since]


@pytest.fixture
def network(field: Field) -> Iterator[None]:
    """The network installs the box of the field; afterwards it is one with a disk again."""
    path = f"boxes/{BOX}.yaml"
    field.change(path, f"{STATIC}netboot: {{mac: '{ANY_MAC}', install: largest}}\n", "The network installs it")
    yield
    field.change(path, STATIC, "It has a disk")


def test_the_network_installs_a_disk_once_and_then_lets_it_start_by_itself(
    field: Field, network: None, tmp_path: Path
) -> None:
    """By a BIOS, the largest of two. Cut before it had a layer, it is installed again: nobody said yet that it runs."""
    disk, smaller = empty(tmp_path / "disk.raw"), empty(tmp_path / "smaller.raw", SPACE - MIB)
    drive = [
        "-drive",
        f"if=none,id=smaller,format=raw,file={smaller}",
        "-device",
        "ide-hd,bus=ide.0,drive=smaller",
        "-drive",
        f"if=none,id=target,format=raw,file={disk}",
        "-device",
        "virtio-blk-pci,drive=target,bootindex=1",
    ]
    hardware = replace(netbooted(field.settings.server, ANY_MAC, {field.port("ssh"): 22}), more=drive)
    cut_at(Machine(tmp_path, hardware), "initrd: vda is settled")
    assert names(disk) == ["BIOS", "ESP", "TOWEROS", "STATE"]
    since = int(time.time())
    with Machine(tmp_path, hardware) as machine:
        field.wait_until("a key that asks", lambda: asking(field, since))
        (new,) = asking(field, since)
        desk.accept(field.store, BOX, new.fingerprint, int(time.time()), replace=True)
        report = field.wait_healthy(since)
        assert report.entry == f"toweros-{report.sequence}.efi" and report.fetched.get("repaired", 0) == 0
    before = len(machine.output())
    with Machine(tmp_path, hardware) as machine:
        machine.wait_for(f"initrd: box .* entry toweros-{report.sequence}.efi", LONG, after=before)
        assert "it starts from its own disk" in machine.output()[before:]
    assert smaller.stat().st_blocks == 0
