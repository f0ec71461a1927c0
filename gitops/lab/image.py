"""What `toweros assemble` made, in QEMU, as `linuxkit run qemu` starts it: the console is this terminal.

In: a format, and where its files are: the file itself, or how the names of several begin. Out: a command line. Rules:
nothing is written to the files (what the machine writes goes when it goes); plain emulation unless asked otherwise;
10.0.2.2 inside is the host's loopback, and nothing leads in.

    command("raw-efi", Path("out/demo-efi.img"), memory=1024)
    command("kernel+initrd", Path("out/demo"))            # demo-kernel, demo-initrd.img, demo-cmdline
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from gitops.errors import VmError
from gitops.lab.accelerator import processor
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


def command(
    format_: str, files: Path, *, memory: int = MEMORY, accelerator: str = "tcg", more: Sequence[str] = ()
) -> list[str]:
    """QEMU's command line. `memory` in MiB; `more`: words behind it.

    Raises:
        VmError: a file is not there.
    """
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "q35", "-accel", accelerator, "-cpu", processor(accelerator),
        "-m", str(memory), "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
        "-device", "virtio-rng-pci", "-serial", "mon:stdio", "-no-reboot",
        *_firmware(format_), *_boot(format_, files), *more,
    ]  # fmt: skip


def _firmware(format_: str) -> Iterator[str]:
    if "-efi" in format_:
        yield from ("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}")
        yield from ("-drive", f"if=pflash,format=raw,unit=1,snapshot=on,file={VARIABLES}")


def _boot(format_: str, files: Path) -> Iterator[str]:
    if format_ in OPTICAL:
        image = _named(files, OPTICAL[format_])
        yield from ("-drive", f"if=none,id=cd,media=cdrom,readonly=on,format=raw,file={_word(image)}")
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
    yield from ("-drive", f"if=none,id=disk,snapshot=on,format={kind},file={_word(image)}")
    yield from ("-device", f"virtio-blk-pci,drive=disk{first}")


def _named(files: Path, suffix: str) -> Path:
    """The file itself, or what begins so."""
    return files if files.is_file() else _there(files.with_name(files.name + suffix))


def _there(path: Path) -> Path:
    if not path.is_file():
        raise VmError(f"there is no {path}", hint="`toweros assemble --format FORMAT --dir DIR` makes it")
    return path


def _word(path: Path) -> str:
    """QEMU takes a comma for the end of a value, and two for one."""
    return str(path).replace(",", ",,")
