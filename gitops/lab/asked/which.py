"""Which format a path is of: `toweros run qemu PATH`, as `linuxkit run qemu` looks at it.

In: a path, and what is said of it. Out: a format of `lab/image.py`. Rules: what is no file, and has a kernel beside it,
is a kernel with the root that is said or there; what ends with .iso is a disc; all else is a disk, by its suffix.

    which(Path("out/demo"), Said())                      "kernel+initrd"
    which(Path("out/demo.iso"), Said(uefi=True))         "iso-efi"
"""

from pathlib import Path
from typing import NamedTuple

from gitops.errors import VmError

DISKS = {".qcow2": "qcow2", ".vmdk": "vmdk", ".vhd": "vhd"}
WORD = "qemu"


class Said(NamedTuple):
    """What the command line says of it."""

    iso: bool = False
    uefi: bool = False
    kernel: bool = False
    squashfs: bool = False


def which(path: Path, said: Said) -> str:
    """The format.

    Raises:
        VmError: there is neither the file nor a kernel.
    """
    if said.kernel or said.squashfs or (not path.is_file() and _beside(path, "-kernel").is_file()):
        squashfs = said.squashfs or not _beside(path, "-initrd.img").is_file()
        return "kernel+squashfs" if squashfs and _beside(path, "-squashfs.img").is_file() else "kernel+initrd"
    if not path.is_file():
        hint = "name a disk, an ISO, or how the names of kernel and initrd begin"
        raise VmError(f"there is neither {path} nor {_beside(path, '-kernel')}", hint=hint)
    by = "efi" if said.uefi else "bios"
    if said.iso or path.suffix == ".iso":
        return f"iso-{by}"
    kind = DISKS.get(path.suffix, "raw")
    return f"{kind}-{by}" if kind in ("raw", "qcow2") else kind


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
