"""Which disk the initrd takes for the machine's own, where a stick has a TOWEROS as well: its own shell and blkid, on
loop devices with real tables and FATs. What this machine's kernel need not have is made: names of partitions in /sys,
and the mount of a FAT."""

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit.initrd import SHELLS, initrd
from tests.kit.settling import Disk, Machine, machine, sh

pytestmark = pytest.mark.e2e
RELEASE, ANOTHER = "ab" * 32, "cd" * 32
VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
FAKES = """
say() { :; }
go_on_wiping() { :; }
mend_tables() { :; }
sleep() { :; }
mount() { case $2 in vfat) mcopy -i "$5" -s -n '::/*' "$6" ;; *) false ;; esac; }
umount() { rm -rf "$1"/*; }
fail() { echo "FAILED: $*"; exit 0; }
check_disk() { echo "$device"; exit 0; }
mount_toweros
"""


@dataclass
class Sticks:
    """Disks with ESP and TOWEROS, in the order in which the kernel has them."""

    folder: Path
    box: Machine

    def disk(self, release: str, esp: bool = True) -> Disk:
        disk = self.box.disk(80)
        sh("sgdisk", "-n", "1:0:+34M", "-c", f"1:{'ESP' if esp else 'DATA'}", "-t", "1:ef00", disk.device)
        sh("sgdisk", "-n", "2:0:+20M", "-c", "2:TOWEROS", disk.device)
        node = disk.node("ESP" if esp else "DATA")
        sh("mkfs.fat", node)
        addon = self.folder / "addon"
        addon.write_bytes(
            b"MZ\0\n\0" + f"toweros.box=b toweros.release={release} toweros.sequence=7".encode() + b"\0\xff"
        )
        if esp:
            sh("mmd", "-i", node, "::/EFI", "::/EFI/Linux", "::/EFI/Linux/toweros-7.efi.extra.d")
            sh("mcopy", "-i", node, addon, "::/EFI/Linux/toweros-7.efi.extra.d/release.addon.efi")
        return disk

    def appear(self, *disks: Disk) -> None:
        """In /sys, as a kernel with GPT has them."""
        for disk in disks:
            for name, (number, _, _) in disk.rows().items():
                part = f"{disk.name}p{number}"
                place = self.folder / "block" / disk.name / part
                place.mkdir(parents=True)
                (place / "uevent").write_text(f"DEVNAME={part}\nPARTNAME={name}\n")
                (place / "partition").write_text(f"{number}\n")
                (self.folder / "block" / part).symlink_to(f"{disk.name}/{part}")

    def started_from(self, disk: Disk, variable: str = "StubDevicePartUUID") -> None:
        """By the ESP of it, as UEFI."""
        said = sh("blkid", "-p", "-n", "vfat", "-o", "value", "-s", "PART_ENTRY_UUID", f"{disk.device}p1").strip()
        self.put(variable, str(uuid.UUID(said)))

    def put(self, variable: str, text: str) -> None:
        (self.folder / f"{variable}-{VENDOR}").write_bytes(b"\6\0\0\0" + f"{text.upper()}\0".encode("utf-16-le"))

    def taken(self) -> str:
        """The node of TOWEROS, or why there is none: what each shell says."""
        (self.folder / "esp").mkdir(exist_ok=True)
        values = {"BLOCK": str(self.folder / "block"), "EFIVARS": str(self.folder), "RELEASE": RELEASE}
        values |= {"PATH": "/usr/bin:/usr/sbin", "OWN_WAIT": "1", "DISK_WAIT": "2"}
        first, second = (initrd(shell, self.folder, FAKES, **values).strip() for shell in SHELLS)
        assert first == second
        return first


@pytest.fixture
def sticks(tmp_path: Path) -> Iterator[Sticks]:
    with machine(tmp_path) as box:
        yield Sticks(tmp_path, box)


@pytest.mark.parametrize("variable", ["StubDevicePartUUID", "LoaderDevicePartUUID"])
def test_by_uefi_it_is_the_disk_that_the_firmware_started_and_no_stick_before_it(sticks: Sticks, variable: str) -> None:
    """Though the stick has the same release: a box's, cloned and given an id of its own."""
    stick, own = sticks.disk(RELEASE), sticks.disk(RELEASE)
    sticks.appear(stick, own)
    sticks.started_from(own, variable)
    assert sticks.taken() == f"{own.device}p2"


def test_a_stick_is_left_alone_where_the_machines_own_disk_is_not_there(sticks: Sticks) -> None:
    stick, bare = sticks.disk(ANOTHER), sticks.disk(RELEASE, esp=False)
    sticks.appear(stick, bare)
    sticks.put("StubDevicePartUUID", str(uuid.uuid4()))
    said = sticks.taken()
    assert said.startswith("FAILED: no partition is named TOWEROS on a disk of this machine"), said
    assert f"{stick.name}p2 is another machine's" in said, said


def test_by_bios_it_is_the_disk_with_the_boot_files_of_this_release(sticks: Sticks) -> None:
    stick, bare, own = sticks.disk(ANOTHER), sticks.disk(RELEASE, esp=False), sticks.disk(RELEASE)
    sticks.appear(stick, bare, own)
    assert sticks.taken() == f"{own.device}p2"


def test_where_nobody_knows_what_was_started_a_box_with_a_damaged_esp_still_starts(sticks: Sticks) -> None:
    own = sticks.disk(RELEASE)
    subprocess.run(["dd", "if=/dev/zero", f"of={own.device}p1", "bs=1M", "count=1", "status=none"], check=True)
    sticks.appear(own)
    assert sticks.taken() == f"{own.device}p2"
