"""A machine whose disk refuses every write from a moment on, and takes them again later: reads are what they were.

QEMU does it (its block driver `blkdebug`, docs/devel/blkdebug.rst), laid between the disk and its file while the
machine runs. A reset is a new QEMU, with a whole disk.

    machine = Machine(folder, Faulty.of(machine.hardware))
    with machine:
        refuse_writes(machine)
        machine.reset()
"""

from dataclasses import fields
from pathlib import Path

from gitops.lab.hardware import Hardware
from gitops.lab.machine import Machine

TOP, FILE, FAULTY = "disk-top", "disk-file", "disk-faulty"
EIO = 5


class Faulty(Hardware):
    """Its disk is raw."""

    @classmethod
    def of(cls, hardware: Hardware) -> "Faulty":
        return cls(**{each.name: getattr(hardware, each.name) for each in fields(Hardware)})

    def command(self, name: str) -> list[str | Path]:
        words = super().command(name)
        place = next(place for place, word in enumerate(words) if str(word).startswith("if=none,id=disk"))
        below = f"file.driver=file,file.discard=unmap,file.filename={self.disk.resolve()},file.node-name={FILE}"
        words[place] = f"if=none,id=disk,node-name={TOP},format=raw,discard=unmap,{below}"
        return words


def refuse_writes(machine: Machine) -> None:
    """Each of them ends in EIO, at any place of the disk, until the machine is reset."""
    refused = [{"event": "none", "iotype": kind, "errno": EIO} for kind in ("write", "write-zeroes", "discard")]
    control = machine.control
    control.command("blockdev-add", driver="blkdebug", image=FILE, **{"node-name": FAULTY, "inject-error": refused})
    control.command("blockdev-reopen", options=[{"driver": "raw", "node-name": TOP, "file": FAULTY}])
