"""What is inside of packages, images and boxes, remembered in the store and found again when it was lost.

In: a store, the packages of a fleet. Out: an `Inventory`. Rules: a layer is looked into once, and what was found is a
blob; a package's layers are those that none of its siblings brings; a box has what its images have, with the kernel,
the initrd and the boot loader; the files that the fleet repo itself puts on a box are in Git, and not listed.

    Inventories(store, fleet.packages).of_box(fleet.boxes["site-7"])
"""

from collections.abc import Iterable, Mapping

import structlog

from gitops.assemble.release import BOOTLOADER, INITRD
from gitops.errors import BuildError, TowerosError
from gitops.fleet.documents.explain import did_you_mean
from gitops.model import Box, Fleet, Image, Inventory, Package, Release
from gitops.oci.elsewhere import stored
from gitops.oci.image import Reference, layers_of
from gitops.plan import PACKAGE
from gitops.security.sbom.documents import KINDS, documents
from gitops.security.sbom.foreign import of_image
from gitops.security.sbom.index import Index
from gitops.security.sbom.layers import inventories
from gitops.security.sbom.parts import Part
from gitops.store import Store
from gitops.store.notes.documents import BoxInventories, InventoryDocuments, LayerInventories

log = structlog.get_logger(__name__)

KEPT = 4
"""Releases of a box whose inventories are kept: what it runs, what it is offered, and what it may go back to."""
HINT = "`toweros build` builds it; `toweros apply` builds all that Git asks for"


class Inventories:
    """What is inside, for the packages of one fleet. `remember` is False where nothing may be written."""

    def __init__(self, store: Store, packages: Mapping[str, Package], *, remember: bool = True) -> None:
        self._store, self._packages, self._remember = store, packages, remember
        self._index = Index(store, remember=remember)
        self._parts: dict[str, list[Part]] = {}
        self._known: dict[str, Inventory] = {}
        self._boxes: dict[tuple[str, ...], str] = {}

    def of_package(self, path: str) -> Inventory:
        """What is inside of a package's image, its bases included.

        Raises:
            BuildError: it is not built.
        """
        package = self._packages[path]
        if package.key not in self._known:
            image = self._image(package)
            bases = {diff_id: base for base in self._bases(package) for diff_id in self._image(base).layers}
            foreign = self._brought((package, *self._bases(package))) & {*image.layers}
            own = tuple(diff_id for diff_id in image.layers if diff_id not in {*bases, *foreign})
            below = [base for base in self._bases(package) if set(self._image(base).layers) & set(image.layers)]
            layers = self._of_layers(package, own)
            layers += [self._of_databases(package, image)] if foreign else []
            self._known[package.key] = Inventory.union((*layers, *(self.of_package(base.path) for base in below)))
        return self._known[package.key]

    def _brought(self, packages: Iterable[Package]) -> set[str]:
        """The layers that images from outside bring."""
        names = {name for package in packages for name in package.bases}
        images = (stored(self._store, Reference.parse(name).digest) for name in names)
        return {diff_id for image in images if image for diff_id in layers_of(image)}

    def _of_databases(self, package: Package, image: Image) -> Inventory:
        """What somebody else's system lists, with what this package changed in it."""
        key = f"{package.key}.databases"
        if known := self._remembered(key, (package.key,)):
            return known[0]
        found = of_image(package.path, [self._store.blobs.path(diff_id) for diff_id in image.layers])
        self._keep(key, {package.key: found})
        return found

    def of_box(self, box: Box) -> Inventory:
        """What is inside of a box.

        Raises:
            BuildError: a package is not built.
        """
        names = images_of(box)
        own = Inventory.union(self.of_package(name) for name in map(path_of, names) if name in self._packages)
        others = [name for name in names if path_of(name) not in self._packages]
        return Inventory.union((own, *map(self.of_foreign, others)))

    def of_name(self, name: str, fleet: Fleet) -> Inventory:
        """What is inside of a box, of all boxes of a role, of a package, or (no name) of the whole fleet.

        Raises:
            TowerosError: there is none of this name. BuildError: a package is not built.
        """
        path = name.rstrip("/")
        if path in fleet.packages:
            return self.of_package(path)
        boxes = {images_of(box): box for box in boxes_of(path, fleet)}
        return Inventory.union(map(self.of_box, boxes.values()))

    def of_foreign(self, name: str) -> Inventory:
        """What is inside of an image that no package makes, by its reference; of one that is not here: unknown."""
        digest = Reference.parse(name).digest
        if found := self._remembered(digest, (digest,)):
            return found[0]
        image = stored(self._store, digest)
        if image is None:
            return Inventory(unread=(f"{name}: unknown inside: the image is not in the store",))
        plain = layers_of(image)  # of an image of a boot spec they are here, however they were sent
        there = bool(plain) and all(map(self._store.blobs.has, plain))
        layers = plain if there else [ref.sha256 for ref in image.layers]
        found_now = of_image(name, [self._store.blobs.path(digest) for digest in layers])
        self._keep(digest, {digest: found_now})
        return found_now

    def keep(self, box: Box, release: Release) -> None:
        """Remember what is inside of a box's release, and write the documents that say so."""
        rows = (self._store.notes.get(BoxInventories, box.name) or BoxInventories()).releases
        if release.content.digest in dict(rows):
            return
        latest = (*rows, (release.content.digest, self._written(box)))[-KEPT:]
        self._store.notes.put(BoxInventories(latest), box.name)

    def _written(self, box: Box) -> str:
        """The digest of a box's inventory that is in the store, with its documents: once for all with these images."""
        names = images_of(box)
        if names not in self._boxes:
            inventory = self.of_box(box)
            digest = self._store.blobs.put(inventory.encode()).sha256
            made = self._store.notes.get(InventoryDocuments, digest) or InventoryDocuments()
            if not all(kind in made.rows and self._store.blobs.has(made.rows[kind].sha256) for kind in KINDS):
                rows = {kind: self._store.blobs.put(data) for kind, data in documents(inventory).items()}
                self._store.notes.put(InventoryDocuments(rows), digest)
            self._boxes[names] = digest
        return self._boxes[names]

    def _of_layers(self, package: Package, own: tuple[str, ...]) -> list[Inventory]:
        """What the package's own layers hold."""
        if (known := self._remembered(package.key, own)) is not None:
            return known
        tars = {diff_id: self._store.blobs.path(diff_id) for diff_id in own}
        found = inventories(tars, self._of_lock(package), lambda: self._of_siblings(package))
        self._keep(package.key, found)
        components = len(Inventory.union(found.values()).components)
        log.info("inventory.made", package=package.path, components=components)
        return list(found.values())

    def _remembered(self, key: str, layers: Iterable[str]) -> list[Inventory] | None:
        """What was found before in these layers; None: not all of it is there."""
        note = self._store.notes.get(LayerInventories, key) if key else None
        refs = [note.rows.get(diff_id) for diff_id in layers] if note else [None]
        there = [ref for ref in refs if ref and self._store.blobs.has(ref.sha256)]
        if len(there) != len(refs):
            return None
        return [Inventory.parse(self._store.blobs.read(ref.sha256)) for ref in there]

    def _keep(self, key: str, found: Mapping[str, Inventory]) -> None:
        if self._remember:
            rows = {diff_id: self._store.blobs.put(each.encode()) for diff_id, each in found.items()}
            self._store.notes.put(LayerInventories(rows), key)

    def _of_lock(self, package: Package) -> list[Part]:
        if package.path not in self._parts:
            self._parts[package.path] = self._index.parts(package.lock)
        return self._parts[package.path]

    def _of_siblings(self, package: Package) -> list[Part]:
        return [part for sibling in self._bases(package) for part in self._of_lock(sibling)]

    def _bases(self, package: Package) -> list[Package]:
        """The siblings that it stands on or takes from, and theirs."""
        found: dict[str, Package] = {}
        todo = list(package.depends)
        while todo:
            path = todo.pop()
            if path not in found:
                found[path] = self._packages[path]
                todo += found[path].depends
        return [found[path] for path in sorted(found)]

    def _image(self, package: Package) -> Image:
        image = self._store.builds.image(package.key)
        if image is None:
            raise BuildError(f"{package.path} is not built, so nobody knows what is inside", hint=HINT)
        return image


def boxes_of(name: str, fleet: Fleet) -> list[Box]:
    """The box, those of the role, or all of them.

    Raises:
        TowerosError: there is none of this name.
    """
    found = [box for box in fleet.boxes.values() if name in ("", box.name)]
    found = found or [box for box in fleet.boxes.values() if name == box.role]
    if name and not found:
        names = [*fleet.boxes, *{box.role for box in fleet.boxes.values()}, *fleet.packages]
        raise TowerosError(f"there is no box, role or package {name!r}", hint=did_you_mean(name, names))
    return found


def path_of(name: str) -> str:
    return name.removeprefix(PACKAGE)


def images_of(box: Box) -> tuple[str, ...]:
    """Every image that a release of the box is made of."""
    apps = (name for app in box.apps for name in app.images.values())
    return tuple(dict.fromkeys((*box.spec.images(), INITRD, BOOTLOADER, *apps)))
