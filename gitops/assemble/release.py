"""Images become a release: the whole stage, and what it found on its way.

In: a Box, the images that its spec names, the fixed packages (initrd, bootloader), a Revision. Out: the Release, its
kernel and initrd in the store, the unsigned UKI and addon. Rules: whatever was made before from the same input is
found, not made again; equal inputs give equal bytes; layers go in the order in which they cover each other.

    assembled = assemble(store, toolbox, box, images, revision, server="http://10.0.2.2:8080")
    assembled.release.digest, assembled.uki, assembled.addon
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from gitops.assemble.apps import Apps
from gitops.assemble.boot.initrd import make_initrd
from gitops.assemble.boot.uki import make_addon, make_uki
from gitops.assemble.layers import add_layer, layer_of
from gitops.assemble.root.tree import container_mounts, file_layer, tree_layer
from gitops.assemble.tars import extract
from gitops.errors import AssembleError
from gitops.fleet.overlay import by_path
from gitops.model import AppImage, BlobRef, Box, Content, Image, Layer, Mounted, Release, Revision, canonical, sha256
from gitops.store import Store
from gitops.toolbox import Toolbox

log = structlog.get_logger(__name__)

INITRD = "@pkg:pkg/initrd"
BOOTLOADER = "@pkg:pkg/bootloader"
BOOT_FILES = ("systemd-bootx64.efi", "linuxx64.efi.stub", "addonx64.efi.stub")


@dataclass(frozen=True)
class Kernel:
    """What a kernel package gives: the kernel, the tar of its modules, and the layer made of it."""

    kernel: BlobRef
    modules: BlobRef
    layer: Layer


@dataclass(frozen=True)
class Pulled:
    """Images of user containers that no package makes, by reference; the registry that boxes pull the others from."""

    images: Mapping[str, AppImage] = field(default_factory=dict)
    mirror: str = ""


NONE_PULLED = Pulled()


@dataclass(frozen=True)
class Assembled:
    """A release and its boot files, not yet signed."""

    release: Release
    uki: bytes
    addon: bytes


class Assembler:
    """The stage, with what all its steps need. `recipe` says which rules of ours made what is remembered."""

    def __init__(self, store: Store, toolbox: Toolbox, recipe: int = 1) -> None:
        self._store = store
        self._toolbox = toolbox
        self._recipe = recipe

    def layers(self, image: Image) -> tuple[Layer, ...]:
        return tuple(layer_of(self._store, self._toolbox, diff_id, self._recipe) for diff_id in image.layers)

    def kernel(self, image: Image, binary: str = "kernel", tar: str = "kernel.tar") -> Kernel:
        """Kernel and modules of a LinuxKit kernel package."""
        refs = self._files(image, (binary, tar))
        return Kernel(refs[binary], refs[tar], layer_of(self._store, self._toolbox, refs[tar].sha256, self._recipe))

    def initrd(self, image: Image, kernel: Kernel) -> BlobRef:
        def make() -> dict[str, bytes]:
            data = make_initrd(self._toolbox, self._tars(image), self._store.blobs.path(kernel.modules.sha256))
            log.info("initrd.made", size=len(data))
            return {"initrd": data}

        inputs: list[object] = ["initrd", self._toolbox.key, list(image.layers), kernel.modules.sha256]
        return self._remembered(inputs, make)["initrd"]

    def boot_files(self, image: Image) -> dict[str, BlobRef]:
        """The bootloader package's files, by name (`BOOT_FILES`)."""
        return self._files(image, BOOT_FILES)

    def content(self, box: Box, images: Mapping[str, Image], pulled: Pulled = NONE_PULLED) -> Content:
        """What the box is to run: everything that its content digest covers."""
        staged = Apps(self._store, self._toolbox, self._recipe).stage(box.apps, images, pulled.images, pulled.mirror)
        spec = replace(box.spec, files=by_path((*staged.files, *box.spec.files)) if box.apps else box.spec.files)
        kernel = self.kernel(
            _named(images, spec.kernel), spec.kernel_binary or "kernel", spec.kernel_tar or "kernel.tar"
        )
        init = [layer for name in spec.init for layer in self.layers(_named(images, name))]
        own = [self._tar_layer(tree_layer(spec, images)), self._tar_layer(file_layer(box.files))]
        return Content(
            kernel=kernel.kernel,
            initrd=self.initrd(_named(images, INITRD), kernel),
            cmdline=" ".join(spec.cmdline.split()),
            root=tuple(dict.fromkeys((kernel.layer, *init, *own))),
            containers=(
                *(
                    Mounted(path, target, self.layers(_named(images, name)))
                    for path, target, name in container_mounts(spec, images)
                ),
                *filter(None, [staged.mounted]),
            ),
            health=box.health,
        )

    def _tar_layer(self, tar: bytes) -> Layer:
        known = self._store.layer(sha256(tar), self._recipe)
        if known:
            return known
        with tempfile.NamedTemporaryFile(dir=self._store.root, prefix=".tar-") as file:
            file.write(tar)
            file.flush()
            layer = add_layer(self._store, self._toolbox, Path(file.name))
        self._store.save_layer(sha256(tar), self._recipe, layer)
        return layer

    def _tars(self, image: Image) -> list[Path]:
        for diff_id in image.layers:
            if not self._store.blobs.has(diff_id):
                raise AssembleError(f"{image.reference}: layer {diff_id[:12]} is missing", hint="build it again")
        return [self._store.blobs.path(diff_id) for diff_id in image.layers]

    def _files(self, image: Image, names: tuple[str, ...]) -> dict[str, BlobRef]:
        """Single files of an image, as blobs."""
        inputs = ["files", list(image.layers), list(names)]
        name = f"assemble/{sha256(canonical(inputs))}"
        known = self._found(name)
        if known:
            return known
        refs = {file: self._extract(image, file) for file in names}
        self._store.set_value(name, {file: [ref.sha256, ref.size] for file, ref in refs.items()})
        return refs

    def _extract(self, image: Image, name: str) -> BlobRef:
        with tempfile.TemporaryDirectory(dir=self._store.root, prefix=".extract-") as folder:
            target = Path(folder, "file")
            if not extract(self._tars(image), name, target):
                raise AssembleError(f"{image.reference} has no /{name}", hint="see pkg/README.md, Fixed packages")
            return self._store.blobs.put_file(target, move=True)

    def _remembered(self, inputs: list[object], make: Callable[[], dict[str, bytes]]) -> dict[str, BlobRef]:
        """Blobs made from `inputs`: found when all are still there, else made."""
        name = f"assemble/{sha256(canonical([*inputs, self._recipe]))}"
        known = self._found(name)
        if known:
            return known
        refs = {key: self._store.blobs.put(data) for key, data in make().items()}
        self._store.set_value(name, {key: [ref.sha256, ref.size] for key, ref in refs.items()})
        return refs

    def _found(self, name: str) -> dict[str, BlobRef]:
        known = self._store.value(name) or {}
        refs = {key: BlobRef(*value) for key, value in known.items()}
        return refs if all(self._store.blobs.has(ref.sha256) for ref in refs.values()) else {}


def assemble(
    store: Store,
    toolbox: Toolbox,
    box: Box,
    images: Mapping[str, Image],
    revision: Revision,
    *,
    server: str,
    recipe: int = 1,
    pulled: Pulled = NONE_PULLED,
) -> Assembled:
    """The release of a box at a revision, with its boot files. `images` are by the name that a spec gives them.

    Raises:
        AssembleError: an image is missing, damaged, or lacks what its place asks for.
    """
    assembler = Assembler(store, toolbox, recipe)
    release = Release(box.name, revision.sequence, assembler.content(box, images, pulled))
    boot = assembler.boot_files(_named(images, BOOTLOADER))
    content, blobs = release.content, store.blobs
    stub, addon_stub = (blobs.read(boot[name].sha256) for name in BOOT_FILES[1:])
    uki = make_uki(stub, blobs.read(content.kernel.sha256), blobs.read(content.initrd.sha256), content.cmdline)
    return Assembled(release, uki, make_addon(addon_stub, release, server, box.network))


def _named(images: Mapping[str, Image], name: str) -> Image:
    if name not in images:
        raise AssembleError(f"there is no image {name}", hint="build or pull it first")
    return images[name]
