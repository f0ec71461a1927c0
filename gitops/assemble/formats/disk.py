"""A new box's disk: GPT with ESP, TOWEROS and STATE (docs/formats.md, "Disk"); for a BIOS, GRUB before them.

In: a Release, its signed boot files, its layers in the store, the box's identity. Out: a sparse image that boots, raw
or qcow2. Rules: no loop device, no mount; written under a temporary name in the same folder and renamed when whole;
identifiers come from the box's name and times are fixed, so that the same input gives the same partitions.

    disk_image(Path("demo-1.raw"), store, Contents(release, uki, addon, loader, box_key_pem))
"""

import tempfile
import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog

from gitops.assemble.boot.bios import BiosLoader
from gitops.assemble.fits import ESP, check_esp
from gitops.assemble.formats import esp, toweros
from gitops.assemble.formats.staging import EPOCH, Contents, folder_in, settle
from gitops.errors import AssembleError
from gitops.process import run
from gitops.store import Store

log = structlog.get_logger(__name__)

MIB = 2**20
SECTOR = 512
NAMESPACE = uuid.UUID("b6f4c1f2-4f3c-5b52-9d6e-746f7765726f")
TYPES = {"BIOS": "EF02", "ESP": "EF00", "TOWEROS": "8300", "STATE": "8300"}


class Format(StrEnum):
    """How the disk is written."""

    raw = "raw"
    qcow2 = "qcow2"

    @classmethod
    def of(cls, out: Path) -> "Format":
        """By a file's name: raw unless it ends with `.qcow2`."""
        return cls.qcow2 if out.suffix == ".qcow2" else cls.raw


class Firmware(StrEnum):
    """What starts the machine."""

    uefi = "uefi"
    bios = "bios"


@dataclass(frozen=True)
class Sizes:
    """MiB per partition. The ESP holds three UKIs (one being written) of up to 80 MiB each."""

    esp: int = ESP
    toweros: int = 2048
    state: int = 1024
    bios: int = 0
    """The partition of GRUB's core: 1 where the firmware is a BIOS."""

    def starts(self) -> dict[str, tuple[int, int]]:
        """Label -> (first byte, bytes)."""
        sizes = {"BIOS": self.bios * MIB} if self.bios else {}
        sizes |= {"ESP": self.esp * MIB, "TOWEROS": self.toweros * MIB, "STATE": self.state * MIB}
        place, starts = MIB, {}
        for label, size in sizes.items():
            starts[label] = (place, size)
            place += size
        return starts

    @property
    def total(self) -> int:
        """Bytes of the disk: one MiB before and after for the two tables."""
        return (self.bios + self.esp + self.toweros + self.state + 2) * MIB


def disk_image(
    out: Path, store: Store, contents: Contents, sizes: Sizes | None = None, format: Format = Format.raw
) -> None:
    """Write the disk of a box to `out`.

    Raises:
        AssembleError: a layer is missing or damaged, or something does not fit.
        ProcessError: one of the disk tools fails.
    """
    sizes = sizes or Sizes()
    _check_room(contents, sizes)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".disk-") as name:
        folder = Path(name)
        disk = folder / "disk.raw"
        _partition(disk, contents.release.box, sizes)
        if contents.bios:
            _write_grub(disk, contents.bios, sizes)
        _write_esp(disk, folder / "esp", contents, sizes)
        _write_ext4(disk, "STATE", folder_in(folder, "state"), contents.release.box, sizes)
        _write_ext4(disk, "TOWEROS", toweros.tree(folder / "toweros", store, contents), contents.release.box, sizes)
        if format is Format.qcow2:
            run(["qemu-img", "convert", "-O", "qcow2", disk, folder / "disk.qcow2"])
            disk = folder / "disk.qcow2"
        disk.chmod(0o600)
        disk.replace(out)
    log.info("disk.made", box=contents.release.box, path=str(out))


def _check_room(contents: Contents, sizes: Sizes) -> None:
    check_esp(len(contents.uki) + len(contents.addon), len(contents.loader), sizes.esp)
    layers = sum(layer.size for layer in contents.release.layers())
    if layers * 33 // 32 > sizes.toweros * MIB * 15 // 16:
        raise AssembleError(f"{layers // MIB} MiB of layers do not fit on TOWEROS", hint="make the disk larger")


def _partition(disk: Path, box: str, sizes: Sizes) -> None:
    with disk.open("wb") as stream:
        stream.truncate(sizes.total)
    command = ["sgdisk", "--set-alignment=2048", f"--disk-guid={_id(box, 'disk')}"]
    for number, (label, (start, size)) in enumerate(sizes.starts().items(), start=1):
        first, last = start // SECTOR, (start + size) // SECTOR - 1
        command += [f"--new={number}:{first}:{last}", f"--typecode={number}:{TYPES[label]}"]
        command += [f"--change-name={number}:{label}", f"--partition-guid={number}:{_id(box, label)}"]
    run([*command, disk])


def _write_grub(disk: Path, loader: BiosLoader, sizes: Sizes) -> None:
    """The code before the table of partitions, and the core, where that code looks for it."""
    start, size = sizes.starts().get("BIOS", (0, 0))
    if start != loader.start * SECTOR or len(loader.core) > size:
        raise AssembleError("GRUB is made for another place on the disk", hint="make the BIOS partition first, 1 MiB")
    with disk.open("r+b") as stream:
        stream.write(loader.sector)
        stream.seek(start)
        stream.write(loader.core)


def _id(box: str, what: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{box}/{what}")


def _write_esp(disk: Path, stage: Path, contents: Contents, sizes: Sizes) -> None:
    start, size = sizes.starts()["ESP"]
    # mtools reads a partition inside an image as FILE@@OFFSET. Geometry is given, because mformat would derive it from
    # the file, and that is the whole disk.
    geometry = ["-T", str(size // SECTOR), "-h", "255", "-s", "63", "-H", str(start // SECTOR)]
    esp.stage(stage, contents)
    esp.write(run, f"{disk}@@{start}", stage, _id(contents.release.box, "fat").hex[:8], geometry)


def _write_ext4(disk: Path, label: str, stage: Path, box: str, sizes: Sizes) -> None:
    settle(stage)
    start, size = sizes.starts()[label]
    identity, seed = _id(box, f"ext4/{label}"), _id(box, f"hash/{label}")
    # hash_seed: mke2fs would draw one at random, and the index of a folder depends on it.
    extended = f"offset={start},hash_seed={seed},root_owner=0:0,lazy_itable_init=1,nodiscard"
    options = ["-F", "-q", "-t", "ext4", "-b", "4096", "-m", "1", "-L", label, "-U", str(identity), "-E", extended]
    env = {"E2FSPROGS_FAKE_TIME": str(EPOCH), "SOURCE_DATE_EPOCH": str(EPOCH)}
    run(["mke2fs", *options, "-d", stage, disk, f"{size // 1024}k"], env=env)
    # mke2fs copies every file's change time, which nothing can set beforehand.
    paths = ["/", *(f"/{path.relative_to(stage)}" for path in sorted(stage.rglob("*")))]
    words = [f"set_inode_field {path} {name}\n" for path in paths for name in (f"ctime @{EPOCH}", "ctime_extra 0")]
    run(["debugfs", "-w", "-f", "-", f"{disk}?offset={start}"], stdin="".join(words).encode(), env=env)
