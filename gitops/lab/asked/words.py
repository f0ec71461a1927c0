"""LinuxKit's words for a machine's disks, ports and network (linuxkit run qemu: -disk, -publish, -networking).

In: one word of a command line. Out: what it asks for, checked; QEMU's words for it. Rules: a disk that is not there is
made, of the size that is asked for; one that is there stays, with what is on it. Ports are the loopback's.

    disk("file=data.qcow2,size=2G", Path("demo-state"), 0)     Disk(Path("data.qcow2"), 2048, "qcow2")
    network("tap,tap0", [])                                    "tap,id=net,ifname=tap0,script=no,downscript=no"
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gitops.errors import VmError
from gitops.process import run

LARGEST = 64 << 20
"""MiB of a disk: 64 TiB."""
DISK_FORMATS = ("qcow2", "raw", "vmdk", "vpc", "vdi", "vhdx")
PORTS = 65535
DISK_HINT = "--disk [file=]PATH[,size=1G][,format=qcow2]; without a size it has to be there"
PORT_HINT = "--publish HOST:MACHINE or HOST:MACHINE/udp, two port numbers"
NETWORK_HINT = "--networking user, none, tap,NAME or bridge,NAME"


class Disk(NamedTuple):
    """`size` in MiB, 0: it has to be there; `format`: QEMU's, empty: what QEMU sees in it."""

    path: Path
    size: int = 0
    format: str = ""

    def there(self) -> None:
        """Make it, if it is not there.

        Raises:
            VmError: it is not there, and nothing says how large it is to be.
        """
        if self.path.is_dir():
            raise VmError(f"--disk {self.path} is a folder", hint=DISK_HINT)
        if self.path.exists():
            return
        if not self.size:
            raise VmError(f"there is no disk {self.path}", hint=DISK_HINT)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VmError(f"{self.path.parent}: {error.strerror}", hint="name a place that can be written") from error
        run(["qemu-img", "create", "-q", "-f", self.format, self.path, f"{self.size}M"])

    def words(self, number: int) -> list[str]:
        """QEMU's: the second disk of the machine is number 1."""
        kind = f"format={self.format}," if self.format else ""
        drive = f"if=none,id=disk{number},{kind}file={word(self.path)}"
        return ["-drive", drive, "-device", f"virtio-blk-pci,drive=disk{number}"]


def disk(said: str, state: Path, number: int) -> Disk:
    """`state`: the folder of a disk without a name; `number`: how many there are before it.

    Raises:
        VmError: it is none of LinuxKit's words.
    """
    path, size, kind = "", 0, ""
    for part in said.split(","):
        key, equals, value = part.partition("=")
        if not equals or key == "file":
            path = value if equals else key
        elif key == "size":
            size = mebibytes(value)
        elif key == "format" and value in DISK_FORMATS:
            kind = value
        else:
            raise VmError(f"--disk {said}: {part} is not known", hint=f"{DISK_HINT}; {', '.join(DISK_FORMATS)}")
    if not path and not size:
        raise VmError(f"--disk {said or '(empty)'} has neither a file nor a size", hint=DISK_HINT)
    place = Path(path) if path else state / f"disk{number or ''}.img"
    return Disk(place, size, kind or ("qcow2" if size else ""))


def mebibytes(said: str) -> int:
    """LinuxKit's words for the size of a machine's disk: GiB, or with M or G behind.

    Raises:
        VmError: it is no size.
    """
    match = re.fullmatch("([0-9]{1,8})([MG]?)", said)
    size = int(match[1]) * (1 if match[2] == "M" else 1024) if match else 0
    if not 0 < size <= LARGEST:
        raise VmError(f"{said or '(empty)'} is no size of a disk", hint="size=2G, size=512M; a number alone is GiB")
    return size


def network(said: str, published: Sequence[str]) -> str:
    """QEMU's word for the network `net`; empty: there is none.

    Raises:
        VmError: it is none of LinuxKit's words; ports are published where none can be.
    """
    kind, _, name = said.partition(",")
    if kind in ("", "default", "user") and not name:
        return "user,id=net" + "".join(map(_forward, published))
    if published:
        raise VmError(f"--publish does not go with --networking {said}", hint="ports are those of --networking user")
    if kind == "none" and not name:
        return ""
    if kind in ("tap", "bridge") and re.fullmatch("[A-Za-z0-9_.-]{1,15}", name):
        return f"tap,id=net,ifname={name},script=no,downscript=no" if kind == "tap" else f"bridge,id=net,br={name}"
    raise VmError(f"--networking {said} is not known", hint=NETWORK_HINT)


def _forward(said: str) -> str:
    match = re.fullmatch("([0-9]{1,5}):([0-9]{1,5})(?:/(tcp|udp))?", said.lower())
    if not match or not all(0 < int(port) <= PORTS for port in match.group(1, 2)):
        raise VmError(f"--publish {said} names no two ports", hint=PORT_HINT)
    return f",hostfwd={match[3] or 'tcp'}:127.0.0.1:{match[1]}-:{match[2]}"


def word(path: Path) -> str:
    """QEMU takes a comma for the end of a value, and two for one."""
    return str(path).replace(",", ",,")
