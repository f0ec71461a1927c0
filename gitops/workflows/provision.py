"""A new box's disk, for UEFI or a BIOS: what it is asked to run, its own new key, and all that it would have to fetch.

In: the settings, a store in which the box's release is published. Out: a disk image, and the box's public key in the
store. Rules: the private key is on the disk (twice) and nowhere else; it is let in only when the disk is whole; where a
box has a key, the new one takes its place with its first report.

    provision(settings, store, "demo-1", Path("demo-1.qcow2"))
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitops.assemble.boot.bios import bios_loader
from gitops.assemble.boot.pe import sections
from gitops.assemble.formats.disk import MIB, SECTOR, Format, Sizes, disk_image
from gitops.assemble.formats.staging import Contents
from gitops.errors import StoreError
from gitops.model import EventType, Happened, Publication
from gitops.settings import Settings
from gitops.sign import Signer, box, keys
from gitops.sign.firmware import renewal
from gitops.store import Store
from gitops.store.notes.box_keys import BoxDisk
from gitops.workflows.enrolment import desk
from gitops.workflows.media.tools import media_tools
from gitops.workflows.workshop import APPLY, LOADER, boot_file


@dataclass(frozen=True)
class Terms:
    """`enroll` False: nobody listens to what this disk says. `secrets`: what only this box may know, by name."""

    enroll: bool = True
    secrets: Mapping[str, bytes] = field(default_factory=dict)


USUAL = Terms()


def provision(
    settings: Settings, store: Store, name: str, out: Path, sizes: Sizes | None = None, terms: Terms = USUAL
) -> str:
    """Write the disk of a box; `.qcow2` or raw by the name of `out`; for a BIOS where `sizes` has a place for GRUB.
    Returns the fingerprint of its key.

    Raises:
        StoreError: the box has no published release. AssembleError, SignError: see the stages; for a BIOS, the fleet
        repo has no media tools, or GRUB could not hand on the kernel's arguments.
    """
    publication, signer = store.offers.published(name), Signer.open(settings.keys, store)
    if publication is None:
        raise StoreError(f"{name} has no published release", hint=APPLY)
    sizes, bios = sizes or Sizes(), None
    if sizes.bios:
        bios = bios_loader(media_tools(settings, store), sizes.starts()["BIOS"][0] // SECTOR)
    private, public = box.make()
    contents = Contents(
        publication.release,
        store.blobs.read(publication.uki.sha256),
        store.blobs.read(publication.addon.sha256),
        b"" if bios else _loader(store, publication, signer),
        box.text_of(private, public),
        certificates(settings.keys),
        bios=bios,
        secrets=terms.secrets,
    )
    disk_image(out, store, contents, sizes, Format.of(out))
    if terms.enroll:
        store.notes.put(BoxDisk(*_partitions(sizes), made=True), name)
        desk.let_in(store, name, public)
        words = f"disk with release {publication.release.sequence} and the key {box.fingerprint(public)}"
        store.events.add(name, EventType.NORMAL, Happened.PROVISIONED, words)
    return box.fingerprint(public)


def _loader(store: Store, publication: Publication, signer: Signer) -> bytes:
    found = publication.loader
    return store.blobs.read(found.sha256) if found else signer.sign_boot(boot_file(store, LOADER))


def ruled(store: Store, name: str, toweros: int | None = None, state: int | None = None) -> Sizes:
    """The sizes of a box's disk: what is asked for, else what the published release says (`disk:`), else our own. What
    takes the rest is small in a file, and grows where the file is put on a disk (pkg/initrd/settle)."""
    publication, asked = store.offers.published(name), Sizes()
    line = sections(store.blobs.read(publication.addon.sha256)).get(".cmdline", b"") if publication else b""
    word = re.search(r"\btoweros\.disk=(\d+|rest),(\d+|rest)", line.decode(errors="replace"))
    layers, rest = (int(size) if size.isdigit() else None for size in word.groups()) if word else (None, None)
    return Sizes(toweros=toweros or layers or asked.toweros, state=state or rest or asked.state)


def _partitions(sizes: Sizes) -> tuple[int, int]:
    return sizes.toweros * MIB, sizes.esp * MIB


def certificates(folder: Path) -> dict[str, bytes]:
    """What is to be enrolled by hand: what is published may be signed by an older db alone, as long as one is here."""
    found = {place: data for place, data in keys.public_halves(folder).items() if place.endswith(".crt")}
    return found | {path.name: path.read_bytes() for path in renewal.olds(folder, "db")}
