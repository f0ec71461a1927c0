"""A disk for a BIOS with releases whose kernels are tiny, in QEMU with SeaBIOS: GRUB as it is on every such box.

disk = BiosDisk(tmp_path, b"G")          # release 7, which comes up
with disk.esp() as esp:                  # the agent's verbs, on the real file system
    disk.stage(esp, 8, b"B")             # one that resets the machine
disk.power_on()                          # ["toweros-8+2-1.efi", ..., "toweros-7.efi"]
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from toweros_agent.host.bios.entries import Bios
from toweros_agent.nouns import Staged

from gitops.assemble.boot.bios import bios_loader
from gitops.assemble.boot.pe import Section, add_sections
from gitops.assemble.boot.uki import make_uki
from gitops.assemble.formats.disk import SECTOR, Contents, Sizes, disk_image
from gitops.model import BlobRef, Content, HealthSpec, Release
from gitops.store import Store
from tests.kit import built
from tests.kit.pe import a_pe_file
from tests.kit.tiny_kernel import tiny_kernel

SIZES = Sizes(esp=48, toweros=8, state=8, bios=1)
LINE = "console=ttyS0,115200 panic=5"
STARTED = re.compile(r"BOOT_IMAGE=\S+ (.*) toweros\.entry=(\S+)")


def a_uki(mark: bytes) -> bytes:
    """`mark` b"G": comes up."""
    return make_uki(a_pe_file(), tiny_kernel(), mark + b" an initrd", LINE)


def an_addon(sequence: int) -> bytes:
    return add_sections(a_pe_file(), [Section(".cmdline", f"toweros.sequence={sequence}".encode() + b"\0")])


class BiosDisk:
    """One disk, in `folder`. `like`: a copy of another."""

    def __init__(self, folder: Path, mark: bytes, like: "BiosDisk | None" = None) -> None:
        self.folder, self.path = folder, folder / "disk.raw"
        folder.mkdir(exist_ok=True)
        if like:
            subprocess.run(["cp", "--sparse=always", like.path, self.path], check=True)
            return
        ref = BlobRef("0" * 64, 1)
        release = Release("demo-1", 7, Content(ref, ref, "", (), (), HealthSpec()))
        loader = bios_loader(built.media_tools(), SIZES.starts()["BIOS"][0] // SECTOR)
        contents = Contents(release, a_uki(mark), an_addon(7), b"", b"KEY", bios=loader)
        disk_image(self.path, Store.open(folder / "store"), contents, SIZES)

    @contextmanager
    def esp(self) -> Iterator[Bios]:
        """The files of its ESP, in a folder; what is done to them is on the disk afterwards."""
        image = f"{self.path}@@{SIZES.starts()['ESP'][0]}"
        place = Path(tempfile.mkdtemp(dir=self.folder))
        subprocess.run(["mcopy", "-i", image, "-s", "-Q", "-n", "::*", place], check=True)
        yield Bios(place)
        tops = ("EFI", "grub")
        subprocess.run(["mdeltree", "-i", image, *(f"::/{top}" for top in tops)], check=True)
        subprocess.run(["mcopy", "-i", image, "-s", "-Q", *(place / top for top in tops), "::/"], check=True)

    def stage(self, esp: Bios, sequence: int, mark: bytes) -> Staged:
        """As the agent does it with what it fetched."""
        files = [(self.folder / "uki", a_uki(mark)), (self.folder / "addon", an_addon(sequence))]
        for path, data in files:
            path.write_bytes(data)
        esp.stage(sequence, *(path for path, _ in files))
        staged = Staged(sequence, "r", "c", *(sha256(data).hexdigest() for _, data in files))
        esp.publish(staged)
        return staged

    def power_on(self, *, read_only: bool = False, timeout: float = 120) -> list[str]:
        """Until a release comes up: the entries that were started, in order."""
        log = self.folder / "serial.log"
        log.unlink(missing_ok=True)
        drive = f"file={self.path},format=raw,if=none,id=disk,read-only={'on' if read_only else 'off'}"
        command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc"]
        command += ["-accel", "tcg", "-m", "128", "-drive", drive, "-device", "virtio-blk-pci,drive=disk"]
        command += ["-serial", f"file:{log}", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        subprocess.run(command, timeout=timeout, check=False, cwd=self.folder)
        found = STARTED.findall(self.said())
        for line, entry in found:
            sequence = entry.removeprefix("toweros-").partition(".")[0].partition("+")[0]
            assert line == f"{LINE} toweros.sequence={sequence}", "the arguments of both files, and no others"
        return [entry for _, entry in found]

    def said(self) -> str:
        return (self.folder / "serial.log").read_text(errors="replace")
