"""The table of formats: which files each leaves, and which steps lead there.

In: nothing. Out: `FORMATS`, `STEPS`. Rules: names of formats and files are LinuxKit's (linuxkit build, moby/build,
output.go); a step names what it needs, and whether it is worth remembering (`kept`): what only puts together what is
remembered already is not. `version` goes up when a step makes something else of the same.

    FORMATS["raw-efi"]            (("-efi.img", "efi.raw"),)
    STEPS["efi.raw"].needs        ("uki.efi",)
"""

from dataclasses import dataclass

from gitops.assemble.formats.steps import bios, efi, initrd, roots, virtual
from gitops.assemble.formats.work import Make

PIECES = ("boot", "tars", "cpios", "root")
"""The pieces of the root as files: /boot; all as tars; all but /boot as parts of an initrd, and as tars."""


@dataclass(frozen=True)
class Step:
    """How one file is made. `tools`: by programs of pkg/media-tools."""

    make: Make
    needs: tuple[str, ...]
    tools: bool = False
    kept: bool = True
    version: int = 1


STEPS = {
    "root.tar": Step(roots.tar, ("tars",), kept=False),
    "docker.tar": Step(roots.docker, ("tars",), kept=False),
    "kernel": Step(roots.kernel, ("boot",), kept=False),
    "cmdline": Step(roots.cmdline, ("boot",), kept=False),
    "ucode.cpio": Step(roots.ucode, ("boot",), kept=False),
    "initrd": Step(initrd.joined, ("cpios",), kept=False),
    "initrd.img": Step(initrd.with_microcode, ("ucode.cpio", "initrd"), kept=False),
    "initrd.tar": Step(initrd.as_tar, ("kernel", "initrd", "cmdline", "ucode.cpio"), kept=False),
    "merged.tar": Step(roots.merged, ("root",), kept=False),
    "squashfs": Step(roots.squashfs, ("merged.tar",), tools=True),
    "erofs": Step(roots.erofs, ("merged.tar",), tools=True),
    "iso": Step(roots.iso, ("merged.tar",), tools=True),
    "uki.efi": Step(efi.uki, ("kernel", "initrd.img", "cmdline"), tools=True, kept=False),
    "efi.iso": Step(efi.iso, ("uki.efi",), tools=True),
    "efi.raw": Step(efi.disk, ("uki.efi",), tools=True),
    "efi.qcow2": Step(virtual.qcow2, ("efi.raw",), tools=True),
    "bios.iso": Step(bios.iso, ("kernel", "initrd.img", "cmdline"), tools=True),
    "bios.raw": Step(bios.disk, ("kernel", "initrd.img", "cmdline"), tools=True),
    "bios.qcow2": Step(virtual.qcow2, ("bios.raw",), tools=True),
    "bios.vmdk": Step(virtual.vmdk, ("bios.raw",), tools=True),
    "bios.vhd": Step(virtual.vhd, ("bios.raw",), tools=True),
}

KERNEL = (("-kernel", "kernel"), ("-cmdline", "cmdline"))

FORMATS = {
    "tar": ((".tar", "root.tar"),),
    "docker": ((".docker", "docker.tar"),),
    "kernel+initrd": (*KERNEL, ("-initrd.img", "initrd.img")),
    "tar-kernel-initrd": (("-initrd.tar", "initrd.tar"),),
    "kernel+squashfs": (*KERNEL, ("-squashfs.img", "squashfs")),
    "kernel+erofs": (*KERNEL, ("-erofs.img", "erofs")),
    "kernel+iso": (*KERNEL, (".iso", "iso")),
    "iso-bios": ((".iso", "bios.iso"),),
    "iso-efi": (("-efi.iso", "efi.iso"),),
    "raw-bios": (("-bios.img", "bios.raw"),),
    "raw-efi": (("-efi.img", "efi.raw"),),
    "qcow2-bios": ((".qcow2", "bios.qcow2"),),
    "qcow2-efi": (("-efi.qcow2", "efi.qcow2"),),
    "vmdk": ((".vmdk", "bios.vmdk"),),
    "vhd": ((".vhd", "bios.vhd"),),
}
"""Format -> what follows NAME in a file's name, and the step that makes the file."""

STREAMED = ("tar", "docker")
"""Formats that may go to stdout: one file, LinuxKit's streamable ones."""
EARLY = frozenset(("kernel", "cmdline"))
"""Files that a spec without a kernel has none of; LinuxKit leaves them out, too."""


def needs_tools(format_: str) -> bool:
    """Whether a program of pkg/media-tools has a part in it."""
    return any(_tools(name) for _, name in FORMATS[format_])


def _tools(name: str) -> bool:
    return name not in PIECES and (STEPS[name].tools or any(map(_tools, STEPS[name].needs)))
