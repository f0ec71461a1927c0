"""What `toweros assemble` made, in QEMU, as `linuxkit run qemu` starts it: the console is this terminal.

In: a format, and where its files are: the file itself, or how the names of several begin. Out: a command line. Rules:
nothing is written to the files (what the machine writes goes when it goes; more disks keep it); plain emulation unless
asked otherwise; 10.0.2.2 inside is the host's loopback, and nothing leads in but ports that are published.

    command("raw-efi", Path("out/demo-efi.img"), Asked(memory=1024))
    command("kernel+initrd", Path("out/demo"))            # demo-kernel, demo-initrd.img, demo-cmdline
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import VmError
from gitops.lab.accelerator import TCG, processor
from gitops.lab.asked.words import Disk, word
from gitops.lab.firmware import FOLDER, VARIABLES
from gitops.lab.hardware import MEMORY

CODE = FOLDER / "OVMF_CODE_4M.fd"
"""The firmware without Secure Boot: nobody signs LinuxKit's images."""
ROOT = "root=/dev/vda"
ROOTS = {"kernel+squashfs": "-squashfs.img", "kernel+erofs": "-erofs.img", "kernel+iso": ".iso"}
DISKS = {
    "raw-bios": ("-bios.img", "raw"),
    "raw-efi": ("-efi.img", "raw"),
    "qcow2-bios": (".qcow2", "qcow2"),
    "qcow2-efi": ("-efi.qcow2", "qcow2"),
    "vmdk": (".vmdk", "vmdk"),
    "vhd": (".vhd", "vpc"),
    "dynamic-vhd": (".vhd", "vpc"),
    "aws": (".raw", "raw"),
}
OPTICAL = {"iso-bios": ".iso", "iso-efi": "-efi.iso", "iso-efi-initrd": "-efi-initrd.iso"}
INITRD = "-initrd.img"
FORMATS = ("kernel+initrd", *ROOTS, *OPTICAL, *DISKS)
"""What can be started."""
MADE = "`toweros assemble --format FORMAT --dir DIR` makes it"
OVMF = f"name a firmware in one file; without --fw it is {CODE}"


@dataclass(frozen=True)
class Asked:
    """A machine: `memory` in MiB; `network`: QEMU's word for `net`, empty: none; `data`: a disc beside the image;
    `firmware`: a file in place of the host's; `uefi`: for a format that is for both."""

    memory: int = MEMORY
    accelerator: str = TCG
    cpus: int = 1
    disks: Sequence[Disk] = ()
    network: str = "user,id=net"
    data: Path | None = None
    firmware: Path | None = None
    uefi: bool = False
    window: bool = False
    name: str = ""


def command(format_: str, files: Path, asked: Asked | None = None, more: Sequence[str] = ()) -> list[str]:
    """QEMU's command line; `more`: words behind it.

    Raises:
        VmError: a file is not there.
    """
    asked = asked or Asked()
    card = ["-netdev", asked.network, "-device", "virtio-net-pci,netdev=net,romfile="] if asked.network else []
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config",
        *(["-vga", "std"] if asked.window else ["-display", "none"]), *(["-name", asked.name] if asked.name else []),
        "-machine", "q35", "-accel", asked.accelerator, "-cpu", processor(asked.accelerator),
        "-smp", str(asked.cpus), "-m", str(asked.memory), *(card or ["-net", "none"]),
        "-device", "virtio-rng-pci", "-serial", "mon:stdio", "-no-reboot",
        *_firmware(asked, "-efi" in format_), *_boot(format_, files), *_beside(asked), *more,
    ]  # fmt: skip


def _firmware(asked: Asked, uefi: bool) -> Iterator[str]:
    if asked.firmware:
        # It may keep variables in itself: what it writes goes with the machine.
        yield from ("-drive", f"if=pflash,format=raw,unit=0,snapshot=on,file={word(_there(asked.firmware, OVMF))}")
    elif uefi or asked.uefi:
        yield from ("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}")
        yield from ("-drive", f"if=pflash,format=raw,unit=1,snapshot=on,file={VARIABLES}")


def _beside(asked: Asked) -> Iterator[str]:
    """More disks, and the disc with data."""
    for number, each in enumerate(asked.disks, start=1):
        yield from each.words(number)
    if asked.data:
        yield from ("-drive", f"if=none,id=data,media=cdrom,readonly=on,format=raw,file={word(asked.data)}")
        yield from ("-device", "ide-cd,drive=data,bus=ide.1")


def _boot(format_: str, files: Path) -> Iterator[str]:
    if format_ in OPTICAL:
        image = _named(files, OPTICAL[format_])
        yield from ("-drive", f"if=none,id=cd,media=cdrom,readonly=on,format=raw,file={word(image)}")
        yield from ("-device", "ide-cd,drive=cd,bootindex=0")
    elif format_ in DISKS:
        suffix, kind = DISKS[format_]
        yield from _disk(_named(files, suffix), kind, ",bootindex=0")
    else:
        yield from _kernel(format_, files)


def _kernel(format_: str, files: Path) -> Iterator[str]:
    line = files.with_name(f"{files.name}-cmdline")
    words = line.read_text() if line.is_file() else ""
    yield from ("-kernel", str(_there(files.with_name(f"{files.name}-kernel"))))
    if format_ == "kernel+initrd":
        yield from ("-initrd", str(_there(files.with_name(files.name + INITRD))))
    else:
        words = words if "root=" in words else f"{words} {ROOT}"
        yield from _disk(_there(files.with_name(files.name + ROOTS[format_])), "raw")
    yield from ("-append", words)


def _disk(image: Path, kind: str, first: str = "") -> Iterator[str]:
    yield from ("-drive", f"if=none,id=disk,snapshot=on,format={kind},file={word(image)}")
    yield from ("-device", f"virtio-blk-pci,drive=disk{first}")


def _named(files: Path, suffix: str) -> Path:
    """The file itself, or what begins so."""
    return files if files.is_file() else _there(files.with_name(files.name + suffix))


def _there(path: Path, hint: str = MADE) -> Path:
    if not path.is_file():
        raise VmError(f"there is no {path}", hint=hint)
    return path
