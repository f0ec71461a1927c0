"""Power lost at any moment of an installation, on real machines: does the disk alone, or the medium with it, start?

In: how many cuts, by which firmware. Out: a line for each, and figures; exit code 1 when a machine came to no verified
root, or user data was lost. Each round has a disk that is empty, or one with a box and data on STATE. The machine is
cut at a moment between the first word of the installer and the verified root, then started twice: with the disk alone,
which starts or does not, and with the medium behind it, which has to come to a verified root. There is no update
server: all that a machine has is the disk and the medium. Needs root.

    python bench/installing/cuts.py [--cuts 6] [--firmware bios uefi] [--seed 1]      # `make soak`
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from gitops.errors import VmError
from gitops.lab.firmware import Certificates, enroll_keys
from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine
from gitops.workflows.media.medium import box_medium
from tests.e2e.field import BOX, STATIC, Field
from tests.kit import built

SPACE = 3 << 30
"""Bytes of a disk."""
LONG, ALONE = 900.0, 300.0
"""Seconds for a verified root; and for a disk that does not start, until that is taken for granted."""
BEGINS, VERIFIED = r"initrd: settling vda", r"initrd: the root is verified"
NOT_ALONE = r"|No bootable device|not a bootable disk|BdsDxe: failed to load .*Misc Device"
"""What SeaBIOS and OVMF say of a disk that they do not start."""
DATA = b"precious"


@dataclass
class Bench:
    """A medium, and machines that have it or not; `bios`: their firmware."""

    field: Field
    folder: Path
    medium: Path
    bios: bool

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    def machine(self, medium: Path | None, *, first: bool = False) -> Machine:
        variables = None if self.bios else self.folder / "vars.fd"
        if variables and not variables.exists():
            enroll_keys(variables, Certificates.of_folder(self.field.keys))
        heard = ("-machine", "graphics=off") if self.bios else ()  # what SeaBIOS says goes to the serial console
        return Machine(self.folder, Hardware(self.disk, variables, medium=medium, medium_first=first, more=heard))

    def cut(self, seconds: float) -> str:
        """Its power is gone so long after the installer began. Returns what it had said last. A disk with a box would
        start by itself: somebody chose the medium."""
        machine = self.machine(self.medium, first=True)
        before = len(machine.output())
        with machine:
            machine.wait_for(BEGINS, LONG, after=before)
            time.sleep(seconds)
            machine.power_cut()
        return last_words(machine.output()[before:])

    def starts(self, medium: Path | None, long: float) -> float | None:
        """Seconds until its root is verified; None: it does not come to one."""
        machine = self.machine(medium)
        before, began = len(machine.output()), time.monotonic()
        with machine:
            try:
                machine.wait_for(VERIFIED + (NOT_ALONE if medium is None else ""), long, after=before)
            except VmError:
                return None
            said = machine.output()[before:]
            machine.power_cut()
        return time.monotonic() - began if "the root is verified" in said else None

    def empty(self) -> None:
        self.disk.unlink(missing_ok=True)
        with self.disk.open("wb") as stream:
            stream.truncate(SPACE)


def last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if "initrd: " in line]
    return lines[-1][:100] if lines else ""


@contextmanager
def partition(disk: Path, name: str) -> Iterator[str]:
    """DISK?offset=BYTES of a partition, as the programs of e2fsprogs take it."""
    said = subprocess.run(["sgdisk", "--print", disk], check=True, capture_output=True, text=True).stdout
    rows = {line.split()[-1]: line.split() for line in said.splitlines() if line.strip()[:1].isdigit()}
    yield f"{disk}?offset={int(rows[name][1]) * 512}"


def put_data(disk: Path, folder: Path) -> None:
    (folder / "data").write_bytes(DATA)
    with partition(disk, "STATE") as state:
        subprocess.run(["debugfs", "-w", "-R", f"write {folder}/data precious", state], check=True, capture_output=True)


def has_data(disk: Path) -> bool:
    with partition(disk, "STATE") as state:
        done = subprocess.run(["debugfs", "-R", "cat precious", state], check=True, capture_output=True)
    return done.stdout == DATA


def campaign(bench: Bench, cuts: int, chance: random.Random) -> list[str]:
    """One line for each cut that ended badly."""
    lost = []
    bench.empty()
    whole = bench.starts(bench.medium, LONG)
    if whole is None:
        return ["the medium installs nothing"]
    for number in range(cuts):
        kept = number % 2 == 1  # on the disk of the round before, which is a box's now
        if kept:
            put_data(bench.disk, bench.folder)
        else:
            bench.empty()
        moment = chance.uniform(0, whole * 0.6)
        words = bench.cut(moment)
        alone = bench.starts(None, ALONE)
        both = bench.starts(bench.medium, LONG)
        data = not kept or has_data(bench.disk)
        disk = f"{'BIOS' if bench.bios else 'UEFI'}, {'an installed' if kept else 'an empty'} disk"
        line = f"{disk}, cut after {moment:.0f} s ({words}): alone {told(alone)}, with the medium {told(both)}"
        print(line, flush=True)
        if both is None or not data:
            lost.append(f"{line}{'' if data else ', data lost'}")
    return lost


def told(seconds: float | None) -> str:
    return "does not start" if seconds is None else f"{seconds:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=6, help="of each firmware")
    parser.add_argument("--firmware", nargs="+", choices=("bios", "uefi"), default=["bios", "uefi"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lost, began = [], time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        medium = Path(name, "medium.iso")
        with built.one_of("field", "field-2") as fleet:  # whoever tells stories has one of them for an hour
            field = Field(built.FOLDER / fleet, STATIC)
            field.apply()
            box_medium(field.settings, field.store, BOX, medium, install="largest")
        for firmware in options.firmware:
            folder = Path(name, firmware)
            folder.mkdir()
            bench = Bench(field, folder, medium, firmware == "bios")
            lost += campaign(bench, options.cuts, random.Random(options.seed))
    print(f"{options.cuts * len(options.firmware)} cuts, {len(lost)} lost; {time.monotonic() - began:.0f} s")
    for line in lost:
        print(line)
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
