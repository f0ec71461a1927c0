"""What a machine is made of, as QEMU's command line has it.

Rules: plain emulation unless asked otherwise (a /dev/kvm that exists may still hang); ports lead in from the host's
loopback alone; 10.0.2.2 inside is the host's loopback; the sockets and the serial log are in QEMU's working folder.

    Hardware(overlay(base, folder / "disk.qcow2"), folder / "vars.fd", ports={2222: 22}).command("demo-1")
"""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitops.lab.accelerator import processor
from gitops.lab.firmware import CODE
from gitops.process import run

MEMORY = 1024
"""MiB."""
SERIAL_LOG = "serial.log"
COMMANDS, EVENTS, CONSOLE = "qmp.sock", "events.sock", "console.sock"
"""Unix sockets in the machine's folder."""


@dataclass(frozen=True)
class Board:
    """What the disk hangs on, the network card, the watchdog, and whatever else there is, as QEMU's words. `bus`: what
    has to be there before the disk."""

    disk: str = "virtio-blk-pci"
    network: str = "virtio-net-pci"
    more: Sequence[str] = ("-device", "virtio-rng-pci,rng=rng", "-device", "i6300esb")
    bus: Sequence[str] = ()


VIRTUAL = Board()
CHIPSET = ("-global", "ICH9-LPC.noreboot=off")
PLAIN = Board("ide-hd,bus=ide.0", "e1000e", CHIPSET)
"""An ordinary board of Intel's, nothing of it made for guests: AHCI, a gigabit card, the chipset's own watchdog."""
NVME = Board("nvme,serial=1", "e1000e", CHIPSET)
STICK = Board("usb-storage", "e1000e", CHIPSET, bus=("-device", "qemu-xhci"))
"""The same, started from an NVMe disk, or from what is plugged in."""


@dataclass(frozen=True)
class Hardware:
    """One disk, a watchdog, a network card, a serial console. `ports` are host port -> box port."""

    disk: Path
    variables: Path | None
    """The firmware's; None: a BIOS, which has none."""
    ports: Mapping[int, int] = field(default_factory=dict)
    memory: int = MEMORY
    cpus: int = 1
    """QEMU 7.2 emulating two loses the flags register now and then: the kernel dies of a double fault."""
    accelerator: str = "tcg"
    attachable: bool = False
    """Whether somebody may type on the serial console; what it says is in the log either way."""
    board: Board = VIRTUAL
    optical: bool = False
    """The disk is a disc: an ISO in a drive, which nobody writes."""
    medium: Path | None = None
    """An ISO in a drive beside the disk: what starts the machine while the disk cannot."""
    medium_first: bool = False
    """Somebody chose the medium in the firmware's menu."""
    more: Sequence[str] = ()
    """Words behind the command line: more devices, SMBIOS strings."""

    def command(self, name: str) -> list[str | Path]:
        """QEMU's command line, for a machine of this name."""
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-name", name,
            "-machine", self._machine(), "-accel", self.accelerator, "-cpu", processor(self.accelerator),
            "-smp", str(self.cpus), "-m", str(self.memory),
            *self._firmware(), *self._started_from(),
            "-object", "rng-random,id=rng,filename=/dev/urandom", *self.board.more,
            "-action", "watchdog=reset", "-action", "reboot=shutdown",
            "-chardev", self._serial(), "-serial", "chardev:serial",
            "-qmp", f"unix:{COMMANDS},server=on,wait=off", "-qmp", f"unix:{EVENTS},server=on,wait=off",
            *self.more,
        ]  # fmt: skip

    def _machine(self) -> str:
        return "q35,smm=on"

    def _started_from(self) -> list[str]:
        """The disk, and the network."""
        disk_format = "qcow2" if self.disk.suffix == ".qcow2" else "raw"
        disk = f"{'ide-cd' if self.optical else self.board.disk},drive=disk,bootindex={int(self.medium_first)}"
        return [
            *self.board.bus,
            "-drive", f"if=none,id=disk,format={disk_format},file={self.disk.resolve()},{self._kind()}",
            "-device", disk, *self._drive(),
            "-netdev", f"user,id=net{self._forwards()}", "-device", f"{self.board.network},netdev=net,romfile=",
        ]  # fmt: skip

    def _drive(self) -> list[str]:
        if self.medium is None:
            return []
        file = f"if=none,id=medium,format=raw,file={self.medium.resolve()},media=cdrom,readonly=on"
        return ["-drive", file, "-device", f"ide-cd,drive=medium,bus=ide.1,bootindex={int(not self.medium_first)}"]

    def _forwards(self) -> str:
        return "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{box}" for host, box in sorted(self.ports.items()))

    def _kind(self) -> str:
        return "media=cdrom,readonly=on" if self.optical else "discard=unmap"

    def _firmware(self) -> list[str]:
        """OVMF; without variables, SeaBIOS, which is what QEMU takes by itself."""
        if self.variables is None:
            return []
        return [
            "-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}",
            "-drive", f"if=pflash,format=raw,unit=1,file={self.variables.resolve()}",
        ]  # fmt: skip

    def _serial(self) -> str:
        if self.attachable:
            return f"socket,id=serial,path={CONSOLE},server=on,wait=off,logfile={SERIAL_LOG},logappend=on"
        return f"file,id=serial,path={SERIAL_LOG},append=on"


def overlay(base: Path, disk: Path) -> Path:
    """A disk that reads from `base` and keeps its own writes."""
    info = json.loads(run(["qemu-img", "info", "--output=json", base]))
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", info["format"], "-b", base.resolve(), disk])
    return disk


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
