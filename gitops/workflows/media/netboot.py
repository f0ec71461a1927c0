"""What starts boxes by the network: made once for each release that such a box is offered.

In: the fleet, a store in which releases are published, pkg/media-tools. Out: blobs (the ESP for UEFI HTTP Boot, kernel
and initrd for iPXE) and documents that name them. Rules: the release, its UKI and its layers are those of every box;
only the addon is another, signed, with one word more: that the place is memory. The newest set stays, and the last one
that its box said it was Healthy with. Trouble with one box is told, and holds up nobody.

    Netboot.of(settings, store, signer, journal).follow(fleet)
"""

import io
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from gitops.assemble.boot import ipxe
from gitops.assemble.boot.pe import Section, add_sections, sections
from gitops.assemble.formats import esp
from gitops.assemble.formats.iso import lay_out_bios
from gitops.assemble.formats.staging import EPOCH, Contents
from gitops.assemble.toolbox import Toolbox
from gitops.errors import StoreError, TowerosError, readable
from gitops.model import BlobRef, Box, Fleet, Health, Publication, canonical, sha256
from gitops.model import Netboot as Netbooted
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.store import LeaseError, Store
from gitops.store.notes.netboot import BootSet, BootSets, Machines, Starts
from gitops.workflows.journal import Journal
from gitops.workflows.media.elsewhere import Elsewhere
from gitops.workflows.media.starts import OfStore, held_back
from gitops.workflows.media.tools import check_initrd, media_tools
from gitops.workflows.workshop import LOADER, boot_file

T = TypeVar("T", Machines, BootSets)

log = structlog.get_logger(__name__)
PLACE = "toweros.place=ram"
RECIPE = 1
"""Another number makes all sets again."""
ADDON_STUB = "addonx64.efi.stub"
SECTOR, MIB = 512, 2**20
LEAST = 40
"""MiB: a smaller FAT 32 has too few clusters to be one (Microsoft's FAT specification, 3.5)."""


class Netboot:
    """Follows what the boxes of one store are offered."""

    def __init__(self, store: Store, signer: Signer, journal: Journal, tools: Callable[[], Toolbox]) -> None:
        """`tools` gives what writes an ESP: nothing of the host's makes what starts a box."""
        self._store, self._signer, self._journal, self._tools = store, signer, journal, tools
        self._told: dict[str, str] = {}

    @classmethod
    def of(cls, settings: Settings, store: Store, signer: Signer, journal: Journal) -> "Netboot":
        """With the tools of what is deployed; while somebody else builds them, no pass waits for that."""
        return cls(store, signer, journal, partial(media_tools, settings, store, wait=False))

    def follow(self, fleet: Fleet) -> None:
        """Make what is missing; forget the boxes that the network starts no more."""
        boxes = {name: box for name, box in fleet.boxes.items() if box.netboot}
        self._know(boxes.values())
        for name, box in boxes.items():
            try:
                self._follow(name, box.netboot or {})
                self._told.pop(name, None)
            except LeaseError:
                raise
            except Exception as caught:
                self._tell(name, readable(caught))

    def holds(self, fleet: Fleet) -> dict[str, str]:
        """Box -> why it stays with what it runs: what it is offered did not come up."""
        now = int(time.time())
        found = {name: held_back(self._store, name, now) for name, box in fleet.boxes.items() if box.netboot}
        return {name: why for name, why in found.items() if why}

    def _tell(self, box: str, error: TowerosError) -> None:
        if self._told.get(box) != error.message:
            self._journal.warning("Netboot", f"the network starts no newer release: {error.message}", box)
        self._told[box] = error.message

    def _know(self, boxes: Iterable[Box]) -> None:
        rows = {value: box.name for box in boxes for value in known_by(box.netboot or {})}
        before = self._kept(Machines).rows
        if rows != before:
            gone = {*before.values()} - {*rows.values()}
            for kind in (BootSets, Starts):  # first: a pass that is stopped here does it again
                self._store.notes.forget(kind, gone)
            self._store.notes.put(Machines(rows))

    def _follow(self, name: str, asked: Netbooted) -> None:
        install = asked.get("install", "")
        publication = self._store.offers.published(name)
        if publication is None:
            return
        kept = self._kept(BootSets, name)
        before, since = kept.sets, (kept.since or int(time.time())) if install else 0
        proven = self._proven(name)
        sets = tuple(replace(each, proven=each.proven or each.release == proven) for each in before)
        made_of = _inputs(publication, install)
        if not sets or sets[0].made_of != made_of:
            if install:
                check_initrd(self._store, "netinstall", "installs nothing by the network")
            new = self._make(publication, made_of, install)
            others = (each for each in sets if each.release != new.release and each.proven)
            new = replace(new, proven=any(each.release == new.release and each.proven for each in sets))
            sets = (new, *tuple(others)[:1])
            if new.trouble:
                words = f"no BIOS can start release {new.sequence} by the network: {new.trouble}"
                self._journal.warning("Netboot", words, name)
        made = BootSets(sets, since)
        if (made := replace(made, said=self._say(name, asked, made))) != kept:
            self._store.notes.put(made, name)

    def _say(self, name: str, asked: Netbooted, made: BootSets) -> BlobRef | None:
        """For a site's own server; None: it could not bring what this starts."""
        blobs, ground = self._store.blobs, OfStore(self._store)
        whole = tuple(each for each in made.sets if blobs.has(each.release))
        if not whole:
            return None
        sizes = {each.release: blobs.path(each.release).stat().st_size for each in whole}
        runs = ground.running(name)
        runs = runs if any(each.release == runs and each.proven for each in whole) else ""
        boot = replace(made, sets=whole)
        said = Elsewhere(name, tuple(known_by(asked)), boot, sizes, ground.installed(name), runs)
        return blobs.put(said.encode())

    def _kept(self, kind: type[T], key: str = "") -> T:
        """A document of ours; what is damaged is made again."""
        try:
            return self._store.notes.get(kind, key) or kind()
        except LeaseError:
            raise
        except StoreError as error:
            log.warning("netboot.damaged", box=key, error=error.message)
            return kind()

    def _proven(self, name: str) -> str:
        """The release with which the box said last that it is Healthy."""
        report = self._store.boxes.report(name)
        return report.release if report and report.health is Health.HEALTHY else ""

    def _make(self, publication: Publication, made_of: str, install: str) -> BootSet:
        """Raises TowerosError: a file is missing, or a tool fails."""
        blobs, release = self._store.blobs, publication.release
        uki = blobs.read(publication.uki.sha256)
        parts = sections(uki)
        files = self._files(publication) if install else None
        words = self._words(publication)
        if files:
            words += f" toweros.install={install} toweros.files={files.sha256}"
        line = f"{_text(parts['.cmdline'])} {words}".strip()
        stub = boot_file(self._store, ADDON_STUB)
        addon = self._signer.sign_boot(add_sections(stub, [Section(".cmdline", words.encode() + b"\0")]))
        image = self._image(Contents(release, uki, addon, self._loader(publication), b""))
        kernel, initrd = blobs.put(parts[".linux"]), blobs.put(parts[".initrd"])
        trouble = ""
        try:
            ipxe.script(release.box, release.sequence, "files/k", "files/i", line, "files/e")
        except TowerosError as error:
            trouble = error.message
        return BootSet(
            release.digest, release.sequence, made_of, blobs.put(image), kernel, initrd, line, trouble, files=files
        )

    def _loader(self, publication: Publication) -> bytes:
        signed = publication.loader
        return (
            self._store.blobs.read(signed.sha256) if signed else self._signer.sign_boot(boot_file(self._store, LOADER))
        )

    def _files(self, publication: Publication) -> BlobRef:
        """What a medium would have for the disk (pkg/initrd/settle): the ESP's files, and what a BIOS needs beside.

        Raises TowerosError: there are no tools.
        """
        blobs, disk = self._store.blobs, publication.addon.sha256
        uki = blobs.read(publication.uki.sha256)
        contents = Contents(publication.release, uki, blobs.read(disk), self._loader(publication), b"")
        contents = replace(contents, disk_addon=contents.addon)
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".extract-") as name:
            esp.stage(Path(name, "boot"), contents)
            lay_out_bios(Path(name, "bios"), self._tools(), contents)
            return blobs.put(_tar_of(Path(name)))

    def _words(self, publication: Publication) -> str:
        """What the addon says: as on a disk, and that there is none."""
        addon = self._store.blobs.read(publication.addon.sha256)
        return f"{_text(sections(addon)['.cmdline'])} {PLACE}"

    def _image(self, contents: Contents) -> bytes:
        """An ESP without a disk around it: the firmware keeps it in memory."""
        with self._tools().workspace() as work:
            stage, image = work.path("esp"), work.path("esp.img")
            esp.stage(stage, contents)
            size = max(LEAST, sum(path.stat().st_size for path in stage.rglob("*")) // MIB + 4)
            with image.open("wb") as stream:
                stream.truncate(size * MIB)
            serial = sha256(contents.release.box.encode())[:8]
            geometry = ["-T", str(size * MIB // SECTOR), "-h", "255", "-s", "63", "-H", "0", "-c", "1"]
            esp.write(work.tool, image.name, stage, serial, geometry)
            return image.read_bytes()


def known_by(said: Netbooted) -> list[str]:
    """MAC, or UUID."""
    return [value for value in (said.get("mac"), said.get("uuid")) if value]


def _inputs(publication: Publication, install: str) -> str:
    refs = (publication.uki, publication.addon, publication.loader)
    place = [PLACE, f"toweros.install={install}"] if install else [PLACE]
    return sha256(canonical([RECIPE, *place, *(ref.sha256 if ref else "" for ref in refs)]))


def _tar_of(folder: Path) -> bytes:
    """Its files, always the same bytes for the same ones."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(folder)))
            entry.size, entry.mtime = path.stat().st_size, EPOCH
            with path.open("rb") as content:
                tar.addfile(entry, content)
    return stream.getvalue()


def _text(cmdline: bytes) -> str:
    return cmdline.split(b"\0")[0].decode()
