"""What UEFI boots: one unsigned UKI, on an ESP of a disk, or of an ISO that is a disk as well.

In: kernel, initrd, command line. Out: files. Rules: systemd's own stub is before them, nobody's signature behind them:
Secure Boot has to be off; the file lies where firmware looks without being told (UEFI 2.10, 3.5.1.1).
"""

import os
import shutil
from pathlib import Path

from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.formats.steps.fat import FIRST, SECTOR, fat, length, put
from gitops.assemble.formats.steps.kernels import checked
from gitops.assemble.formats.work import EPOCH, Work
from gitops.assemble.toolbox import Workspace

STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
LOADER = "EFI/BOOT/BOOTX64.EFI"
OS_RELEASE = b'ID=linuxkit\nNAME="LinuxKit"\nPRETTY_NAME="LinuxKit"\n'
DISK = "4c696e75-784b-5974-8e31-000000000001"
ESP = "4c696e75-784b-5974-8e31-000000000002"
VOLUME = "LINUXKIT"
IMAGE = "esp.img"


def uki(work: Work) -> None:
    """Kernel, initrd and command line behind the stub."""
    kernel, line = checked(work)
    with work.tools().workspace() as inside:
        stub = inside.run(["cat", STUB])
    parts = {".osrel": OS_RELEASE, ".cmdline": line + b"\0", ".initrd": work.read("initrd.img"), ".linux": kernel}
    work.target.write_bytes(add_sections(stub, [Section(name, data) for name, data in parts.items()]))


def disk(work: Work) -> None:
    """A disk with a GPT and nothing but an ESP."""
    with work.tools().workspace() as inside:
        sectors = _esp(inside, work.file("uki.efi"), FIRST)
        with inside.path("disk").open("wb") as stream:
            stream.truncate(length((FIRST + sectors + FIRST) * SECTOR, work.size))
        last = FIRST + sectors - 1
        words = [f"--disk-guid={DISK}", f"--new=1:{FIRST}:{last}", "--typecode=1:EF00", "--change-name=1:ESP"]
        inside.run(["sgdisk", "--set-alignment=2048", *words, f"--partition-guid=1:{ESP}", "disk"])
        put(inside.path("esp"), inside.path("disk"), FIRST)
        shutil.move(inside.path("disk"), work.target)


def iso(work: Work) -> None:
    """An ISO whose ESP is an El Torito image and a partition, so that it boots from optical drives, USB and disks.

    El Torito counts the sectors of an image in 16 bits. 0 stands for all up to the end (UEFI 2.10, 13.3.2.1).
    """
    with work.tools().workspace() as inside:
        _esp(inside, work.file("uki.efi"), 0)
        inside.path("root").mkdir()
        inside.path("esp").rename(inside.path("root") / IMAGE)
        for path in (inside.path("root") / IMAGE, inside.path("root")):
            os.utime(path, (EPOCH, EPOCH))
        words = ["-quiet", "-R", "-V", VOLUME, "-o", "efi.iso", "-e", IMAGE, "-no-emul-boot", "-boot-load-size", "0"]
        words += ["-efi-boot-part", "--efi-boot-image"]
        inside.run(["env", f"SOURCE_DATE_EPOCH={EPOCH}", "xorriso", "-as", "mkisofs", *words, "root"], timeout=3600)
        shutil.move(inside.path("efi.iso"), work.target)


def _esp(inside: Workspace, image: Path, start: int) -> int:
    return fat(inside, "esp", {LOADER: image}, start)
