"""A release on one medium: a hybrid ISO that starts by BIOS and by UEFI, from an optical drive, a USB stick, a disk.

In: Contents whose addon says `toweros.place=medium`, its layers in the store, the media tools. Out: one file:

    sector 0         an MBR with GRUB's code; partition 1 is the ISO, 3 the ESP; 2 and 4 are free
    ISO 9660         /toweros/releases, /toweros/layers: as on a disk's TOWEROS; /boot: kernel and initrd of the UKI;
                     /toweros/boot, where it installs: the files of a disk's ESP; /toweros/bios: what a disk has
                     beside them where a BIOS starts it
    partition 3      the ESP, as on a disk: systemd-boot, the signed UKI and its addon
    El Torito        GRUB's core for a BIOS; partition 3 for UEFI

Rules: nothing of the host's makes it; times, serial numbers and order are given, so that the same input gives the same
bytes; made under another name and renamed when whole. A BIOS verifies nothing: GRUB gets kernel, initrd and arguments
out of the signed files, and the box says that its boot was not verified by firmware.

    iso_image(Path("box.iso"), toolbox, store, contents)
"""

import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import structlog

from gitops.assemble.boot.bios import bios_files, bios_loader
from gitops.assemble.boot.grub import CD_MODULES, Form, core_image, hybrid_sector
from gitops.assemble.boot.pe import sections
from gitops.assemble.formats import esp, toweros
from gitops.assemble.formats.staging import EPOCH, Contents, put, settle
from gitops.assemble.toolbox import Toolbox, Workspace
from gitops.errors import AssembleError
from gitops.model import sha256
from gitops.store import Store

log = structlog.get_logger(__name__)

MIB = 2**20
LABEL = "TOWEROS"
FAT32 = 34 * MIB
"""Bytes of the smallest FAT 32 (65,525 clusters of a sector)."""
ESP_FREE = 2 * MIB
"""Bytes for FAT's tables and folders beside the files."""
KERNEL, INITRD, CORE, MBR, ESP_IMAGE = "boot/vmlinuz", "boot/initrd", "boot/grub.img", "mbr", "esp.img"
UNVERIFIED = "boot not verified by firmware"
LEAST_FREE = 8 * MIB
"""Bytes beside the files of an ISO: its folders, GRUB, what a file system needs itself."""
ODD = "'\"\\"
"""What GRUB would not pass on as it is."""


def iso_image(out: Path, toolbox: Toolbox, store: Store, contents: Contents) -> None:
    """Write a medium to `out`.

    Raises:
        AssembleError: a layer is missing or damaged, there is no room, or GRUB cannot pass the arguments on.
        ProcessError: one of the tools fails.
    """
    line = command_line(contents)
    out.parent.mkdir(parents=True, exist_ok=True)
    with toolbox.workspace() as work, tempfile.TemporaryDirectory(dir=out.parent, prefix=".iso-") as name:
        _check_room(contents, work.folder, Path(name))
        _lay_out(work, store, contents)
        if contents.disk_addon:
            lay_out_bios(work.path("tree") / "toweros/bios", toolbox, contents)
        put(work.path("tree") / CORE, core_image(toolbox, CD_MODULES, _config(contents, line), Form.cd))
        put(work.path(MBR), hybrid_sector(toolbox))
        _write_esp(work, contents)
        settle(work.path("tree"))
        _write_iso(work)
        whole = Path(name) / "medium.iso"
        shutil.move(work.path("medium.iso"), whole)
        whole.chmod(0o600 if contents.box_key else 0o644)
        _sync(whole)
        whole.replace(out)
    log.info("iso.made", box=contents.release.box, path=str(out))


def command_line(contents: Contents) -> str:
    """What a kernel gets that no stub starts: the UKI's own arguments, then the addon's.

    Raises:
        AssembleError: they have what GRUB would change.
    """
    line = " ".join(_section(image, ".cmdline").rstrip(b"\0").decode() for image in (contents.uki, contents.addon))
    if bad := [word for word in line.split() if any(sign in word for sign in ODD)]:
        hint = "leave quotes and backslashes out of the kernel's cmdline"
        raise AssembleError(f"GRUB cannot pass {bad[0]!r} on to the kernel as it is", hint=hint)
    return " ".join(line.split())


def _section(image: bytes, name: str) -> bytes:
    found = sections(image)
    if name not in found:
        raise AssembleError(f"a boot file has no {name}", hint="run `toweros apply` again")
    return found[name]


def _check_room(contents: Contents, work: Path, target: Path) -> None:
    """All is laid out once before it is the medium, and moved if that is on another disk."""
    layers = sum(layer.size for layer in contents.release.layers()) * 130 // 128
    size = layers + (3 if contents.disk_addon else 2) * len(contents.uki) + len(contents.loader) + FAT32 + LEAST_FREE
    for folder, times in ((work, 2), (target, int(work.stat().st_dev != target.stat().st_dev))):
        free = shutil.disk_usage(folder).free
        if free < size * times:
            message = f"{size * times // MIB + 1} MiB are needed below {folder.parent}, and {free // MIB} are free"
            raise AssembleError(message, hint="make room, or name another place with --out")


def _lay_out(work: Workspace, store: Store, contents: Contents) -> None:
    tree = work.path("tree")
    toweros.put_release(tree / "toweros", store, contents.release)
    if contents.box_key:
        put(tree / "toweros/identity/box.key", contents.box_key, 0o600)
    if contents.disk_addon:
        esp.stage(tree / "toweros/boot", replace(contents, addon=contents.disk_addon, box_key=b""))
    put(tree / KERNEL, _section(contents.uki, ".linux"))
    put(tree / INITRD, _section(contents.uki, ".initrd"))


def lay_out_bios(folder: Path, toolbox: Toolbox, contents: Contents) -> None:
    """What `settle` puts onto the disk of a machine with a BIOS; it writes into both images where they lie there."""
    loader = bios_loader(toolbox, 1)
    put(folder / "boot.img", loader.sector)
    put(folder / "core.img", loader.core)
    for path, data in bios_files(contents.release.sequence, contents.uki, contents.disk_addon).items():
        put(folder / "esp" / path, data)


def _config(contents: Contents, line: str) -> str:
    """GRUB's, in its core: what starts is on the medium that has this release."""
    words = " ".join(f"'{word}'" for word in line.split())
    return "\n".join(
        [
            f"echo '{UNVERIFIED}'",
            f"search --no-floppy --set=root --file /toweros/releases/{contents.release.digest}.json",
            f"linux /{KERNEL} {words}",
            f"initrd /{INITRD}",
            "boot",
            "",
        ]
    )


def _write_esp(work: Workspace, contents: Contents) -> None:
    esp.stage(work.path("esp"), contents)
    needed = sum(-(-len(data) // MIB) * MIB for data in esp.files(contents).values())
    size = max(FAT32, needed + ESP_FREE)
    with work.path(ESP_IMAGE).open("wb") as stream:
        stream.truncate(size)
    geometry = ["-T", str(size // 512), "-h", "255", "-s", "63", "-c", "1"]
    esp.write(work.tool, ESP_IMAGE, work.path("esp"), _serial(contents), geometry)


def _serial(contents: Contents) -> str:
    return sha256(f"{contents.release.digest}/fat".encode())[:8]


def _write_iso(work: Workspace) -> None:
    moment = time.strftime("%Y%m%d%H%M%S00", time.gmtime(EPOCH))
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-iso-level", "3", "-uid", "0", "-gid", "0"]
    command += ["-volid", LABEL, f"--modification-date={moment}", "-partition_offset", "16"]
    command += ["-b", CORE, "-c", "boot/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
    command += ["--grub2-boot-info", "--grub2-mbr", MBR, "-append_partition", "3", "0xef", ESP_IMAGE]
    command += ["-eltorito-alt-boot", "-e", "--interval:appended_partition_3:all::", "-no-emul-boot"]
    work.tool([*command, "-o", "medium.iso", "tree"], env={"SOURCE_DATE_EPOCH": str(EPOCH)})


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
