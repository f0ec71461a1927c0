"""A FAT file system that holds a few files, and places on a disk.

In: files by path. Out: a file system in a workspace. Rules: no larger than it must be; times and serial number are
fixed. FAT is what every firmware and GRUB read; mformat takes FAT16 or FAT32 by the size.

    fat(inside, "esp.img", {"EFI/BOOT/BOOTX64.EFI": Path("uki.efi")}, start=2048)
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from gitops.assemble.formats.work import EPOCH
from gitops.assemble.toolbox import Workspace
from gitops.errors import AssembleError

SECTOR, MIB = 512, 2**20
FIRST = 2048
"""The sector at which the one partition of a disk begins."""
LABEL, SERIAL = "LINUXKIT", "4c4b7566"
SMALLEST = 34 * MIB
"""A firmware may take FAT32 alone for an ESP, which has 65525 clusters or more (Microsoft's FAT specification)."""
LARGEST = 4 * 2**30 - 1
"""Bytes of a file in FAT."""


def fat(inside: Workspace, name: str, files: Mapping[str, Path], start: int = 0, serial: str = SERIAL) -> int:
    """Make the file system; how many sectors it has. `start`: the sector of the disk on which it will lie.
    `serial`: 8 hex digits.

    Raises:
        AssembleError: a file is too large. ProcessError: mtools fail.
    """
    sizes = [path.stat().st_size for path in files.values()]
    if max(sizes) > LARGEST:
        raise AssembleError("kernel or initrd has more than 4 GiB, which FAT cannot hold", hint="take kernel+squashfs")
    needed = sum(sizes)
    sectors = max(SMALLEST, -(-(needed + needed // 50 + 2 * MIB) // MIB) * MIB) // SECTOR
    with inside.path(name).open("wb") as stream:
        stream.truncate(sectors * SECTOR)
    stage = inside.path(f"{name}.d")
    for path, source in files.items():
        (stage / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, stage / path)
    for place in [*stage.rglob("*")]:
        os.utime(place, (EPOCH, EPOCH))
    geometry = ["-T", str(sectors), "-h", "255", "-s", "63", "-H", str(start)]
    env = ["env", "MTOOLS_SKIP_CHECK=1", f"SOURCE_DATE_EPOCH={EPOCH}", "TZ=UTC"]
    inside.run([*env, "mformat", "-i", name, "-F", "-v", LABEL, "-N", serial, *geometry, "::"])
    tops = sorted({f"{name}.d/{path.partition('/')[0]}" for path in files})
    inside.run([*env, "mcopy", "-i", name, "-s", "-m", "-Q", *tops, "::/"], timeout=3600)
    return sectors


def length(needed: int, asked: int) -> int:
    """Bytes of a disk that needs so many.

    Raises:
        AssembleError: it was asked for with fewer.
    """
    if asked and needed > asked:
        raise AssembleError(
            f"a disk of {asked // MIB} MiB is too small: it needs {-(-needed // MIB)}", hint="a larger --size"
        )
    return max(needed, asked)


def put(part: Path, disk: Path, sector: int) -> None:
    """Copy a file system to its place on a disk."""
    with part.open("rb") as source, disk.open("r+b") as target:
        target.seek(sector * SECTOR)
        shutil.copyfileobj(source, target, MIB)
