"""GRUB for machines with a BIOS: one core image that holds its own configuration (GRUB 2.12, i386-pc).

In: the media tools, names of modules, the text of a grub.cfg. Out: bytes for the first sector, for a BIOS boot
partition, or for an ISO's El Torito entry. Rules: the configuration lies in the core (a memdisk), so that nothing on a
file system decides what GRUB does; `$root` is a partition of the disk that the firmware started, when `partition`
says which, else it is to be searched for (`search --set=root --file /NAME`); the same input gives the same bytes.

    core = core_image(toolbox, DISK_MODULES, "load_env -f /grub/grubenv ...", partition="gpt2")
    boot_sector(toolbox, 2048)      # 440 bytes for the MBR of a disk whose core begins at sector 2048
    placed(core, 2048)              # the core as it must lie there
    core_image(toolbox, CD_MODULES, config, Form.cd)    # -b of xorriso, with -boot-info-table
    hybrid_sector(toolbox)          # --grub2-mbr of xorriso: the ISO as a disk
"""

import io
import struct
import tarfile
from collections.abc import Iterable
from enum import StrEnum

from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError

FOLDER = "usr/lib/grub/i386-pc"
CONFIG = "boot/grub/grub.cfg"
PREFIX = "(memdisk)/boot/grub"
SECTOR = 512
MIB = 2**20
MAX_CORE = MIB - 64 * 1024
"""Bytes of a core: its partition has a MiB; more would not fit below what the BIOS itself uses."""
BASIC = (
    "biosdisk",
    "memdisk",
    "tar",
    "normal",
    "configfile",
    "test",
    "true",
    "echo",
    "ls",
    "sleep",
    "reboot",
    "linux",
    "loopback",
)
DISK_MODULES = (*BASIC, "serial", "terminal", "regexp", "eval", "part_gpt", "fat", "loadenv")
CD_MODULES = (*BASIC, "regexp", "search", "search_fs_file", "search_label", "iso9660", "part_gpt", "part_msdos", "fat")
CODE = 440
"""Bytes of an MBR that are code; a disk's signature and the partitions follow."""
KERNEL_SECTOR, DRIVE_CHECK = 0x5C, 0x66
"""In boot.img: where the core lies (GRUB_BOOT_MACHINE_KERNEL_SECTOR), and what to do about the drive's number."""
NO_CHECK = b"\x90\x90"
"""As grub-bios-setup has it for hard disks: some a BIOS passes a number that is not its own."""
BLOCKS = SECTOR - 12
"""In a core's first sector: where the rest lies. 8 bytes first sector, 2 sectors, 2 the segment it is read to."""


class Form(StrEnum):
    """What the firmware reads a core from: GRUB's names of the formats."""

    disk = "i386-pc"
    cd = "i386-pc-eltorito"
    network = "i386-pc-pxe"


def core_image(
    toolbox: Toolbox, modules: Iterable[str], config: str, form: Form = Form.disk, *, partition: str = ""
) -> bytes:
    """GRUB, its modules and its configuration. `partition`, as `gpt2`: `$root` is this one of the disk it is on.

    Raises:
        ProcessError: there is no such module. AssembleError: it is too large for its partition.
    """
    with toolbox.workspace() as work:
        work.path("memdisk").write_bytes(_memdisk(config))
        # GRUB fills the drive in where a prefix has a partition alone; what it reads from there is set once it has.
        work.path("first").write_text(f"set prefix={PREFIX}\n")
        prefix = ["-p", f"(,{partition})/", "-c", "first"] if partition else ["-p", PREFIX]
        # `-m` sets a prefix of its own: ours comes behind it.
        core = ["grub-mkimage", "-O", form.value, "-d", f"/{FOLDER}", "-m", "memdisk", *prefix, "-o", "core"]
        work.run([*core, *dict.fromkeys(modules)])
        made = work.path("core").read_bytes()
    if len(made) > MAX_CORE:
        raise AssembleError(f"GRUB has {len(made)} bytes, more than {MAX_CORE}", hint="take fewer modules")
    return made + bytes(-len(made) % SECTOR) if form is Form.disk else made


def boot_sector(toolbox: Toolbox, start: int) -> bytes:
    """The code of an MBR that starts the core at sector `start` of its disk."""
    code = bytearray(_file(toolbox, "boot.img")[:CODE])
    struct.pack_into("<Q", code, KERNEL_SECTOR, start)
    code[DRIVE_CHECK : DRIVE_CHECK + len(NO_CHECK)] = NO_CHECK
    return bytes(code)


def hybrid_sector(toolbox: Toolbox) -> bytes:
    """The first sector of an ISO that is written to a disk; xorriso says in it where the core lies."""
    return _file(toolbox, "boot_hybrid.img")


def placed(core: bytes, start: int) -> bytes:
    """A core for `Form.disk` that finds the rest of itself, when it begins at sector `start` of its disk.

    Raises:
        AssembleError: this is no such core.
    """
    first, sectors, _segment = struct.unpack_from("<QHH", core, BLOCKS) if len(core) > SECTOR else (0, 0, 0)
    if not first or sectors != len(core) // SECTOR - 1:
        raise AssembleError("this is not a core of GRUB for a BIOS disk")
    image = bytearray(core)
    struct.pack_into("<Q", image, BLOCKS, start + 1)
    return bytes(image)


def _file(toolbox: Toolbox, name: str) -> bytes:
    with toolbox.workspace() as work:
        return work.run(["cat", f"/{FOLDER}/{name}"])


def _memdisk(config: str) -> bytes:
    """A tar of one file, always the same."""
    data = config.encode()
    entry = tarfile.TarInfo(CONFIG)
    entry.size = len(data)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()
