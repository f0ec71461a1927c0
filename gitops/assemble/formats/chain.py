"""The table of steps: how each file comes about.

In: nothing. Out: `STEPS`. Rules: a step names what it needs, and whether it is worth remembering (`kept`): what only
puts together what is remembered already is not. `version` goes up when a step makes something else of the same.

    STEPS["efi.raw"].needs        ("uki.efi",)
"""

from dataclasses import dataclass

from gitops.assemble.formats.steps import bios, clouds, efi, initrd, roots, virtual
from gitops.assemble.formats.work import Make

PIECES = ("boot", "tars", "cpios", "root")
"""The pieces of the root as files: /boot; all as tars; all but /boot as parts of an initrd, and as tars."""


@dataclass(frozen=True)
class Step:
    """How one file is made. `tools`: by programs of pkg/media-tools; `sized`: a disk, of the size that is asked for."""

    make: Make
    needs: tuple[str, ...]
    tools: bool = False
    kept: bool = True
    sized: bool = False
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
    "squashfs": Step(roots.squashfs, ("merged.tar",), tools=True, version=2),
    "erofs": Step(roots.erofs, ("merged.tar",), tools=True),
    "iso": Step(roots.iso, ("merged.tar",), tools=True),
    "uki.efi": Step(efi.uki, ("kernel", "initrd.img", "cmdline"), tools=True, kept=False),
    "efi.iso": Step(efi.iso, ("uki.efi",), tools=True),
    "efi.raw": Step(efi.disk, ("uki.efi",), tools=True, sized=True),
    "efi.qcow2": Step(virtual.qcow2, ("efi.raw",), tools=True),
    "bios.iso": Step(bios.iso, ("kernel", "initrd.img", "cmdline"), tools=True),
    "bios.raw": Step(bios.disk, ("kernel", "initrd.img", "cmdline"), tools=True, sized=True),
    "bios.qcow2": Step(virtual.qcow2, ("bios.raw",), tools=True),
    "bios.vmdk": Step(virtual.vmdk, ("bios.raw",), tools=True),
    "bios.vhd": Step(virtual.vhd, ("bios.raw",), tools=True),
    "bios.dynamic.vhd": Step(virtual.dynamic_vhd, ("bios.raw",), tools=True),
    "bios.whole.raw": Step(clouds.aws, ("bios.raw",), kept=False),
    "bios.gcp": Step(clouds.gcp, ("bios.raw",)),
}
