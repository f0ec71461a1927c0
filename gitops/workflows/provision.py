"""A new box's disk: what it is asked to run, its own new key, and nothing that it would have to fetch.

In: the settings, a store in which the box's release is published. Out: a disk image, and the box's public key in the
store. Rules: the private key is on the disk and nowhere else; the box is enrolled only when the disk is whole; doing it
again makes a new key and retires the old one, unless `enroll` is False: then nobody listens to what this disk reports.

    provision(settings, store, "demo-1", Path("demo-1.qcow2"))
"""

from pathlib import Path

from gitops.assemble.formats.disk import Contents, Format, Sizes, disk_image
from gitops.assemble.release import BOOTLOADER, TOOLBOX, Assembler
from gitops.errors import StoreError
from gitops.model import Image
from gitops.plan import PACKAGE
from gitops.settings import Settings
from gitops.sign import Signer, box, keys
from gitops.store import Store

HINT = "`toweros apply` builds and publishes what Git asks for"


def provision(
    settings: Settings, store: Store, name: str, out: Path, sizes: Sizes | None = None, *, enroll: bool = True
) -> None:
    """Write the disk of a box; `.qcow2` or raw by the name of `out`.

    Raises:
        StoreError: the box has no published release. AssembleError, SignError: see the stages.
    """
    found = store.offers.published(name)
    if found is None:
        raise StoreError(f"{name} has no published release", hint=HINT)
    publication, signer = found, Signer.open(settings.keys, store)
    images = {name: _image(store, name.removeprefix(PACKAGE)) for name in (TOOLBOX, BOOTLOADER)}
    loader = store.blobs.read(Assembler.of(store, images).boot_files()["systemd-bootx64.efi"].sha256)
    private, public = box.make()
    contents = Contents(
        publication.release,
        store.blobs.read(publication.uki.sha256),
        store.blobs.read(publication.addon.sha256),
        signer.sign_boot(loader),
        private,
        {place: data for place, data in keys.public_halves(settings.keys).items() if place.endswith(".crt")},
    )
    disk_image(out, store, contents, sizes, Format.of(out))
    if enroll:
        store.boxes.enroll(name, public)
        store.events.add(name, "Normal", "Provisioned", f"disk with release {publication.release.sequence}")


def _image(store: Store, path: str) -> Image:
    image = store.builds.image(store.existing().packages.get(path, ""))
    if image is None:
        raise StoreError(f"{path} is not built", hint=HINT)
    return image
