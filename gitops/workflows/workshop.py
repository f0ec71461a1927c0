"""A plan is carried out here: packages are built, images pulled, releases assembled; for a pass, a trial, a new disk.

In: one revision, its tree and its fleet; a store and a builder. Out: images in the store, and per box a release that
nobody has signed. Rules: what the store has is not made again; nothing is offered, and no key is touched.

    workshop = Workshop(settings, store, builder, (revision, tree), fleet)
    for step in plan.builds:
        workshop.build(step.subject)
    workshop.assemble("site-7")         # Assembled: the release, its UKI and addon
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import structlog

from gitops.assemble.release import BOOTLOADER, TOOLBOX, Assembled, Assembler, Pulled
from gitops.assemble.root.mounted import UnmountableError
from gitops.builders import Builder
from gitops.errors import StoreError, readable
from gitops.model import Fleet, Image, Revision, Tree
from gitops.plan import PACKAGE
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.images.pulling import Images
from gitops.workflows.making.placed import Placed
from gitops.workflows.security.inventories import Inventories

log = structlog.get_logger(__name__)

APPLY = "`toweros apply` builds and publishes what Git asks for"
LOADER = "systemd-bootx64.efi"


class Workshop:
    """Makes what one revision asks for, in one store. `listed`: and notes what is inside."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        builder: Builder,
        point: tuple[Revision, Tree],
        fleet: Fleet,
        *,
        listed: bool = True,
    ) -> None:
        self._settings, self._store, self._builder = settings, store, builder
        self.revision, self.tree = point
        self.fleet = fleet
        self._listed = listed
        self._inside = Inventories(store, fleet.packages)

    @property
    def store(self) -> Store:
        return self._store

    def build(self, path: str) -> None:
        """Build a package whose siblings are built, and note what is inside.

        Raises:
            BuildError: it does not build.
        """
        self._builder.build(self.fleet.packages[path], self.tree, self.fleet.packages)
        self._look_inside(lambda: self._inside.of_package(path))

    def pull(self) -> None:
        """Take the images that come from elsewhere into the store, once everything is built. What cannot be had is told
        by `assemble` of the boxes that need it.

        Raises:
            AssembleError: there is no toolbox.
        """
        _ = self._assembler

    def assemble(self, box: str) -> Assembled:
        """The release of a box, once everything is built.

        Raises:
            AssembleError: an image is missing, cannot be had, or lacks what its place asks for.
        """
        self.pulled.check(self.fleet.boxes[box])
        try:
            made = self._assembler.assemble(self.fleet.boxes[box], self.revision, self._settings.server)
        except UnmountableError as error:
            raise Placed(self.tree, self.fleet, self._store).told(self.fleet.boxes[box], error) from error
        self._look_inside(lambda: self._inside.keep(self.fleet.boxes[box], made.release))
        return made

    def _look_inside(self, look: Callable[[], object]) -> None:
        """What nobody can list is deployed all the same: a fix must not wait for its list. `toweros sbom` says why."""
        if not self._listed:
            return
        try:
            look()
        except StoreError:  # a full disk, or a lease that is lost: nothing else may go on either
            raise
        except Exception as caught:
            log.error("inventory.failed", error=readable(caught).message)

    @cached_property
    def built(self) -> Mapping[str, Image]:
        """The images of the packages, by the names that specs give them, once everything is built."""
        return images(self._store, {path: package.key for path, package in self.fleet.packages.items()})

    @cached_property
    def pulled(self) -> Pulled:
        """The images that come from elsewhere."""
        return Images(self._settings, self._store).of(self.fleet.boxes.values(), self.built, self.tree)

    @cached_property
    def _assembler(self) -> Assembler:
        return Assembler.of(self._store, self.built, self.fleet.policy.recipe, self.pulled)


def images(store: Store, keys: Mapping[str, str]) -> dict[str, Image]:
    """The images of packages that are built, by the names that specs give them. `keys`: path -> the package's key."""
    built = {PACKAGE + path: store.builds.image(key) for path, key in keys.items()}
    return {name: image for name, image in built.items() if image}


def boot_file(store: Store, file: str) -> bytes:
    """A program of the bootloader package (`BOOT_FILES`), unsigned: out of the packages that the last pass used.

    Raises:
        StoreError: they are not built.
    """
    made = images(store, store.existing().packages)
    for name in (TOOLBOX, BOOTLOADER):
        if name not in made:
            raise StoreError(f"{name.removeprefix(PACKAGE)} is not built", hint=APPLY)
    return store.blobs.read(Assembler.of(store, made).boot_files()[file].sha256)
