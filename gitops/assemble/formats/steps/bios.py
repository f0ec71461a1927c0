"""What a BIOS boots: GRUB, kernel and initrd, on a disk with an MBR, or on an ISO that is a disk as well.

In: kernel, initrd, command line. Out: files. Rules: GRUB's configuration lies in its core, which lies before the one
partition; it asks nothing and shows no menu. It finds its own files by a name that comes from what they hold: another
disk of this kind may be in the machine.
"""

import os
import shutil
import struct

from gitops.assemble.boot import grub
from gitops.assemble.formats.steps.fat import FIRST, SECTOR, fat, length, put
from gitops.assemble.formats.steps.kernels import checked, words
from gitops.assemble.formats.work import EPOCH, Work
from gitops.errors import AssembleError
from gitops.model import sha256
from gitops.store.files.blobs import digest_file

KERNEL, INITRD = "kernel", "initrd.img"
CORE = 1
"""The sector at which GRUB's core begins: behind the MBR, as grub-bios-setup has it."""
MODULES = (*grub.BASIC, "search", "search_fs_uuid", "part_msdos", "fat")
SIGNATURE, TABLE, END = 0x4C4B7566, 446, 510
"""A disk's signature lies at 440, its partitions at 446."""
FAT32_LBA = 0x0C
VOLUME = "LINUXKIT"
ON_DISK = "search --no-floppy --set=root --hint hd0,msdos1 --fs-uuid"
ON_ISO = "search --no-floppy --set=root --label"


def disk(work: Work) -> None:
    """A disk with an MBR: GRUB, then one partition with kernel and initrd."""
    serial, tools = _digest(work)[:8].upper(), work.tools()
    config = _config(work, f"{ON_DISK} {serial[:4]}-{serial[4:]}")
    core = grub.placed(grub.core_image(tools, MODULES, config), CORE)
    if len(core) > (FIRST - CORE) * SECTOR:
        raise AssembleError("GRUB does not fit before the first partition")
    with tools.workspace() as inside:
        files = {KERNEL: work.file("kernel"), INITRD: work.file("initrd.img")}
        sectors = fat(inside, "boot", files, FIRST, serial)
        first = bytearray(grub.boot_sector(tools, CORE).ljust(SECTOR, b"\0"))
        struct.pack_into("<I", first, grub.CODE, SIGNATURE)
        # Active, no cylinders (all ones), the type, the same, first sector, sectors.
        row = (0x80, b"\xfe\xff\xff", FAT32_LBA, b"\xfe\xff\xff", FIRST, sectors)
        struct.pack_into("<B3sB3sII", first, TABLE, *row)
        struct.pack_into("<H", first, END, 0xAA55)
        with inside.path("disk").open("wb") as stream:
            stream.write(bytes(first) + core)
            stream.truncate(length((FIRST + sectors) * SECTOR, work.size))
        put(inside.path("boot"), inside.path("disk"), FIRST)
        shutil.move(inside.path("disk"), work.target)


def iso(work: Work) -> None:
    """An ISO with GRUB as its El Torito image and in its first sector."""
    volume, tools = f"{VOLUME}_{_digest(work)[:16].upper()}", work.tools()
    config = _config(work, f"{ON_ISO} {volume}")
    core = grub.core_image(tools, grub.CD_MODULES, config, grub.Form.cd)
    hybrid = grub.hybrid_sector(tools)
    with tools.workspace() as inside:
        root = inside.path("root")
        root.mkdir()
        (root / "grub.img").write_bytes(core)
        inside.path("mbr").write_bytes(hybrid)
        inside.take(work.file("kernel"), f"root/{KERNEL}")
        inside.take(work.file("initrd.img"), f"root/{INITRD}")
        for path in [*root.iterdir(), root]:
            os.utime(path, (EPOCH, EPOCH))
        options = ["-quiet", "-R", "-iso-level", "3", "-V", volume, "-o", "bios.iso", "--grub2-mbr", "mbr"]
        options += ["-b", "grub.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
        inside.run(["env", f"SOURCE_DATE_EPOCH={EPOCH}", "xorriso", "-as", "mkisofs", *options, "root"], timeout=3600)
        shutil.move(inside.path("bios.iso"), work.target)


def _digest(work: Work) -> str:
    """Of what is booted."""
    return sha256("".join(digest_file(work.file(name)).sha256 for name in (KERNEL, INITRD)).encode())


def _config(work: Work, find: str) -> str:
    """What GRUB does."""
    _, line = checked(work)
    arguments = words(line.decode())
    if any(set(word) & set("'\\") for word in arguments):
        raise AssembleError("the kernel's cmdline holds ' or \\, which GRUB cannot hand on", hint="take a UEFI format")
    quoted = " ".join(f"'{word}'" for word in arguments)
    return f"{find}\nlinux /{KERNEL} {quoted}\ninitrd /{INITRD}\nboot\n"
