"""A machine with several disks, and a medium whose rule names none of them: it says which there are, on the serial line
and on the screen, and takes what somebody types at the keyboard."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine
from gitops.workflows.media.medium import box_medium
from tests.e2e.field import BOX, LONG, Field

pytestmark = [pytest.mark.e2e, pytest.mark.boot]
MIB = 1 << 20
SIZES = {"sda": 2900, "vda": 3072, "nvme0n1": 2800}
"""MiB. The kernel's names of a disk on AHCI, one of a virtual machine, and one on NVMe."""
PLACES = {"sda": "pci-0000:00:1f.2-ata-3", "nvme0n1": "pci-0000:00:06.0-nvme-1"}
"""As udev calls them, by where QEMU puts them."""
NOWHERE = "pci-0000:00:1f.2-ata-9"
SCREEN = "cmdline: [console=tty0]\n"
"""Beside the serial line."""
KEYS = {" ": "spc", "\n": "ret"}


def disk(folder: Path, name: str) -> Path:
    path = folder / f"{name}.raw"
    with path.open("wb") as stream:
        stream.truncate(SIZES[name] * MIB)
    return path


def beside(folder: Path) -> list[str]:
    """The other two disks, as QEMU has them, and a screen."""
    words = ["-device", "VGA"]
    for name, device in (("sda", "ide-hd,bus=ide.2"), ("nvme0n1", "nvme,serial=1,addr=6")):
        words += [
            "-drive",
            f"if=none,id={name},format=raw,file={disk(folder, name)}",
            "-device",
            f"{device},drive={name}",
        ]
    return words


def type_keys(machine: Machine, text: str) -> None:
    """At its keyboard."""
    for letter in text:
        machine.control.command("send-key", keys=[{"type": "qcode", "data": KEYS.get(letter, letter)}])
        time.sleep(0.1)


@pytest.fixture
def medium(field: Field, tmp_path: Path) -> Iterator[Path]:
    """Whose rule leads nowhere, for a box with a screen and a serial line."""
    role = field.fleet / "roles" / "vm.yaml"
    before = role.read_text()
    field.change("roles/vm.yaml", before + SCREEN, "It has a screen")
    made = tmp_path / f"{BOX}.iso"
    box_medium(field.settings, field.store, BOX, made, install=NOWHERE)
    yield made
    field.change("roles/vm.yaml", before, "It has none")


def test_it_says_which_disks_there_are_and_takes_the_one_that_is_typed(
    field: Field, medium: Path, tmp_path: Path
) -> None:
    variables = enroll_keys(tmp_path / "vars.fd", Certificates.of_folder(field.keys))
    with Machine(tmp_path, Hardware(disk(tmp_path, "vda"), variables, medium=medium, more=beside(tmp_path))) as machine:
        machine.wait_for("which disk\\? Type its name", LONG)
        said = machine.output()
        assert f"there is no disk {NOWHERE}" in said
        for name, mib in SIZES.items():
            line = next(line for line in said.splitlines() if f"initrd:   {name} " in line)
            assert f" {mib} MiB " in line and PLACES.get(name, "") in line and line.endswith("empty"), line
        type_keys(machine, "nvme9n9\n")
        machine.wait_for("there is no disk nvme9n9", LONG)
        type_keys(machine, "nvme0n1\n")
        machine.wait_for("initrd: nvme0n1 is settled: the medium can be taken out", LONG)
        machine.power_cut()
    for name in ("vda", "sda"):
        assert (tmp_path / f"{name}.raw").stat().st_blocks == 0, "nobody named it"
