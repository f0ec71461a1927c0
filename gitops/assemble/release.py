"""Images become a release: the whole stage.

In: a Box, the images that its spec names, the fixed packages (toolbox, initrd, bootloader), a Revision. Out: the
Release, its kernel and initrd in the store, UKI, addon and systemd-boot, unsigned. Rules: whatever was made before from
the same input is not made again; equal inputs give equal bytes; layers go in the order in which they cover each other.

    assembled = Assembler.of(store, images).assemble(box, revision, "http://10.0.2.2:8080")
    assembled.release.digest, assembled.uki, assembled.addon
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TypeVar

import structlog

from gitops.assemble.apps import Apps
from gitops.assemble.boot.initrd import make_initrd
from gitops.assemble.boot.microcode import early
from gitops.assemble.boot.pe import signed_digest
from gitops.assemble.boot.uki import make_addon, make_uki
from gitops.assemble.fits import LAYERS_FILE, NEAR_FILE, SETTLE_FILE, check_esp, check_mounts, check_rule, most_layers
from gitops.assemble.layers import Layers
from gitops.assemble.root.commands import check_commands
from gitops.assemble.root.mounted import check_places
from gitops.assemble.root.programs import check_programs
from gitops.assemble.root.tree import container_mounts, file_layer, tree_layer
from gitops.assemble.tars import entries_of, extract, folder_for_link
from gitops.assemble.tars.tree import Entry
from gitops.assemble.toolbox import Toolbox
from gitops.errors import AssembleError, TowerosError
from gitops.fleet.overlay import by_path
from gitops.model import (
    AppImage,
    BlobRef,
    BootFiles,
    Box,
    Content,
    Image,
    Json,
    Layer,
    Mounted,
    Release,
    Revision,
    Spec,
    building,
    canonical,
    sha256,
)
from gitops.oci.image import inside
from gitops.store import Store
from gitops.store.notes.documents import AssembledFiles

log = structlog.get_logger(__name__)

T = TypeVar("T")
TOOLBOX = "@pkg:pkg/toolbox"
INITRD = "@pkg:pkg/initrd"
BOOTLOADER = "@pkg:pkg/bootloader"
BOOT_FILES = ("systemd-bootx64.efi", "linuxx64.efi.stub", "addonx64.efi.stub")
NAMES_BOOT_FILES = 2
"""The recipe from which on a release names them: another stub or systemd-boot is another release."""


@dataclass(frozen=True)
class Kernel:
    """What a kernel package gives: the kernel, the tar of its modules, the layer made of it, microcode if asked for."""

    kernel: BlobRef
    modules: BlobRef
    layer: Layer
    microcode: BlobRef | None = None


@dataclass(frozen=True)
class Pulled:
    """Images that no package makes, by reference. `mirror`: the registry that boxes pull the others from; `boot`: those
    that boot specs name, unpacked; `missing`: why an image, or what an app needs, cannot be had."""

    images: Mapping[str, AppImage] = field(default_factory=dict)
    mirror: str = ""
    boot: Mapping[str, Image] = field(default_factory=dict)
    missing: Mapping[str, TowerosError] = field(default_factory=dict)

    def check(self, box: Box) -> None:
        """Raises AssembleError: something that the box needs cannot be had."""
        apps = (each for app in box.apps for each in (*app.images.values(), app.path))
        for name in (*box.spec.images(), *apps):
            if error := self.missing.get(name):
                raise AssembleError(f"{name} cannot be had: {error.message}", hint=error.hint)


NONE_PULLED = Pulled()


@dataclass(frozen=True)
class Assembled:
    """A release and its boot files, not yet signed."""

    release: Release
    uki: bytes
    addon: bytes
    loader: bytes


class Assembler:
    """The stage, for one revision's images, which are by the name that a spec gives them."""

    def __init__(
        self,
        store: Store,
        toolbox: Toolbox,
        images: Mapping[str, Image],
        recipe: int = 1,
        pulled: Pulled = NONE_PULLED,
    ) -> None:
        self._store, self._toolbox, self._images = store, toolbox, {**images, **pulled.boot}
        self._recipe, self._pulled = recipe, pulled
        self._layers = Layers(store, toolbox, building(recipe))
        self._trees = cache(self._tree)

    @classmethod
    def of(
        cls, store: Store, images: Mapping[str, Image], recipe: int = 1, pulled: Pulled = NONE_PULLED
    ) -> "Assembler":
        """With the toolbox that is one of the images.

        Raises:
            AssembleError: it is none of them, or cannot be unpacked.
        """
        if TOOLBOX not in images:
            hint = "`toweros init` makes one; copy it from there"
            raise AssembleError("the fleet repo has no pkg/toolbox", hint=hint)
        return cls(store, Toolbox.unpack(store, images[TOOLBOX]), images, recipe, pulled)

    def assemble(self, box: Box, revision: Revision, server: str) -> Assembled:
        """The release of a box at a revision, with its boot files. `server` is the URL at which the box finds us.

        Raises:
            AssembleError: an image is missing, damaged, or lacks what its place asks for; or the box cannot take it.
        """
        check_places(box, self._images, self._trees)
        check_programs(box.spec.init, self._trees)
        release = Release(box.name, revision.sequence, self.content(box))
        check_mounts(release.content, self._most_layers)
        check_rule(box.disk, SETTLE_FILE in self._knows)
        boot = self.boot_files()
        content, blobs = release.content, self._store.blobs
        loader, stub, addon_stub = (blobs.read(boot[name].sha256) for name in BOOT_FILES)
        uki = make_uki(stub, blobs.read(content.kernel.sha256), blobs.read(content.initrd.sha256), content.cmdline)
        noc = box.noc if box.noc and NEAR_FILE in self._knows else ""  # an older initrd refuses the word
        addon = make_addon(addon_stub, release, server, box.wiring or box.network, box.disk, noc)
        check_esp(len(uki) + len(addon))
        check_commands(box, self._config)
        return Assembled(release, uki, addon, loader)

    def content(self, box: Box) -> Content:
        """What the box is to run: everything that its content digest covers."""
        staged = Apps(self._store, self._layers).stage(box.apps, self._images, self._pulled.images, self._pulled.mirror)
        spec = replace(box.spec, files=by_path((*staged.files, *box.spec.files)) if box.apps else box.spec.files)
        kernel = self.kernel(
            spec.kernel, spec.kernel_binary or "kernel", spec.kernel_tar or "kernel.tar", spec.kernel_ucode
        )
        init = [layer for name in spec.init for layer in self._image_layers(name)]
        self._check_links(kernel, spec)
        own = [self._layers.of_tar(tree_layer(spec, self._images)), self._layers.of_tar(file_layer(box.files))]
        containers = [
            Mounted(path, target, self._image_layers(name))
            for path, target, name in container_mounts(spec, self._images)
        ]
        return Content(
            kernel=kernel.kernel,
            initrd=self._initrd(kernel),
            cmdline=" ".join(spec.cmdline.split()),
            # overlayfs takes no layer twice.
            root=tuple(dict.fromkeys((kernel.layer, *init, *own))),
            containers=(*containers, *filter(None, [staged.mounted])),
            health=box.health,
            boot=self._named(),
        )

    def kernel(self, name: str, binary: str = "kernel", tar: str = "kernel.tar", ucode: str = "") -> Kernel:
        """Kernel, modules and microcode (`ucode`, empty: none) of a LinuxKit kernel package."""
        image = self._image(name)
        refs = self._files(image, (binary, tar))
        microcode = self._files(image, (ucode,))[ucode] if ucode else None
        return Kernel(refs[binary], refs[tar], self._layers.of_blob(refs[tar].sha256), microcode)

    def _check_links(self, kernel: Kernel, spec: Spec) -> None:
        """In an overlay a folder and a link of one name hide each other: /lib of the modules, or of the system."""
        layers = [diff_id for name in spec.init for diff_id in self._image(name).layers]
        digests = (kernel.modules.sha256, *layers)
        if path := self._read(digests, lambda tars: folder_for_link(tars[0], tars[1:])):
            hint = f"put them where /{path} leads, as in usr/lib/modules"
            raise AssembleError(f"{spec.kernel} has its modules below /{path}, which is a link of init", hint=hint)

    def boot_files(self) -> Mapping[str, BlobRef]:
        """The bootloader package's files, by name (`BOOT_FILES`)."""
        return self._files(self._image(BOOTLOADER), BOOT_FILES)

    def _named(self) -> BootFiles | None:
        if self._recipe < NAMES_BOOT_FILES:
            return None
        refs = self.boot_files()
        return BootFiles(*(signed_digest(self._store.blobs.read(refs[name].sha256)) for name in BOOT_FILES))

    def _image(self, name: str) -> Image:
        if name not in self._images:
            raise AssembleError(f"there is no image {name}", hint="build or pull it first")
        return self._images[name]

    def _config(self, name: str) -> Json:
        """An image's config, as its makers wrote it."""
        if name in self._images:
            return self._images[name].config
        return inside(self._pulled.images[name])

    def _tree(self, name: str) -> Mapping[str, Entry] | None:
        """What is in an image; None: its layers were made before, and their tars are here no more."""
        return self._read(self._image(name).layers, entries_of)

    def _read(self, digests: Sequence[str], read: Callable[[Sequence[Path]], T]) -> T | None:
        """What `read` makes of tars in the store; None: not all of them are here. A damaged one is taken away."""
        tars = [self._store.blobs.path(digest) for digest in digests]
        try:
            return read(tars) if all(tar.is_file() for tar in tars) else None
        except AssembleError:
            for digest in digests:
                self._layers.tar(digest)
            raise

    def _image_layers(self, name: str) -> tuple[Layer, ...]:
        return tuple(map(self._layers.of_blob, self._image(name).layers))

    def _initrd(self, kernel: Kernel) -> BlobRef:
        image = self._image(INITRD)

        def make() -> Mapping[str, BlobRef]:
            data = make_initrd(self._toolbox, self._tars(image), self._store.blobs.path(kernel.modules.sha256))
            if kernel.microcode:
                data = early(self._store.blobs.read(kernel.microcode.sha256), "the kernel's microcode") + data
            log.info("initrd.made", size=len(data))
            return {"initrd": self._store.blobs.put(data)}

        parts = (self._toolbox.key, list(image.layers), kernel.modules.sha256, building(self._recipe))
        inputs: list[object] = ["initrd", *parts, *([kernel.microcode.sha256] if kernel.microcode else [])]
        return self._remembered(inputs, make)["initrd"]

    @cached_property
    def _most_layers(self) -> int:
        """How many layers this initrd mounts over each other."""
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".extract-") as folder:
            said = Path(folder, "said")
            has = extract(self._tars(self._image(INITRD)), LAYERS_FILE, said)
            return most_layers(said.read_bytes() if has else None)

    @cached_property
    def _knows(self) -> frozenset[str]:
        """Files of this initrd, by which it shows which words it takes."""
        tars = self._tars(self._image(INITRD))
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".extract-") as folder:
            return frozenset(name for name in (SETTLE_FILE, NEAR_FILE) if extract(tars, name, Path(folder, name)))

    def _files(self, image: Image, names: tuple[str, ...]) -> Mapping[str, BlobRef]:
        """Single files of an image, as blobs."""
        inputs: list[object] = ["files", list(image.layers), list(names)]
        return self._remembered(inputs, lambda: {name: self._extract(image, name) for name in names})

    def _extract(self, image: Image, name: str) -> BlobRef:
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".extract-") as folder:
            target = Path(folder, "file")
            if not extract(self._tars(image), name, target):
                raise AssembleError(
                    f"{image.reference} has no /{name}", hint="compare with the package that `toweros init` makes"
                )
            return self._store.blobs.put_file(target, move=True)

    def _tars(self, image: Image) -> list[Path]:
        return [self._layers.tar(diff_id) for diff_id in image.layers]

    def _remembered(self, inputs: list[object], make: Callable[[], Mapping[str, BlobRef]]) -> Mapping[str, BlobRef]:
        """Blobs made from `inputs`: those of the last time when all are still there, else made."""
        key = sha256(canonical(inputs))
        existing = (self._store.notes.get(AssembledFiles, key) or AssembledFiles()).rows
        if existing and all(self._store.blobs.has(ref.sha256) for ref in existing.values()):
            return existing
        refs = make()
        self._store.notes.put(AssembledFiles(refs), key)
        return refs
