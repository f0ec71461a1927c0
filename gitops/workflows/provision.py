"""A new box's disk: what it is asked to run, its own new key, and nothing that it would have to fetch.

In: the settings, a store in which the box's release is published. Out: a disk image, and the box's public key in the
store. Rules: the private key is on the disk (twice) and nowhere else; it is let in only when the disk is whole; where a
box has a key, the new one takes its place with its first report. `enroll` False: nobody listens to what this disk says.

    provision(settings, store, "demo-1", Path("demo-1.qcow2"))
"""

from pathlib import Path

from gitops.assemble.formats.disk import MIB, Contents, Format, Sizes, disk_image
from gitops.errors import StoreError
from gitops.model import EventType, Happened
from gitops.settings import Settings
from gitops.sign import Signer, box, keys
from gitops.sign.firmware import renewal
from gitops.store import Store
from gitops.store.notes.box_keys import BoxDisk
from gitops.workflows.enrolment import desk
from gitops.workflows.workshop import APPLY, boot_loader


def provision(
    settings: Settings, store: Store, name: str, out: Path, sizes: Sizes | None = None, *, enroll: bool = True
) -> str:
    """Write the disk of a box; `.qcow2` or raw by the name of `out`. Returns the fingerprint of its key.

    Raises:
        StoreError: the box has no published release. AssembleError, SignError: see the stages.
    """
    publication, signer = store.offers.published(name), Signer.open(settings.keys, store)
    if publication is None:
        raise StoreError(f"{name} has no published release", hint=APPLY)
    private, public = box.make()
    contents = Contents(
        publication.release,
        store.blobs.read(publication.uki.sha256),
        store.blobs.read(publication.addon.sha256),
        store.blobs.read(publication.loader.sha256) if publication.loader else signer.sign_boot(boot_loader(store)),
        box.text_of(private, public),
        _certificates(settings.keys),
    )
    disk_image(out, store, contents, sizes, Format.of(out))
    if enroll:
        store.notes.put(BoxDisk(*_partitions(sizes or Sizes()), made=True), name)
        desk.let_in(store, name, public)
        words = f"disk with release {publication.release.sequence} and the key {box.fingerprint(public)}"
        store.events.add(name, EventType.NORMAL, Happened.PROVISIONED, words)
    return box.fingerprint(public)


def _partitions(sizes: Sizes) -> tuple[int, int]:
    return sizes.toweros * MIB, sizes.esp * MIB


def _certificates(folder: Path) -> dict[str, bytes]:
    """What is to be enrolled by hand: what is published may be signed by an older db alone, as long as one is here."""
    found = {place: data for place, data in keys.public_halves(folder).items() if place.endswith(".crt")}
    return found | {path.name: path.read_bytes() for path in renewal.olds(folder, "db")}
