"""`toweros assemble --format release`: what a box of ours takes, in a folder, unsigned.

In: a spec, its images, a store in which pkg/toolbox, pkg/initrd and pkg/bootloader are built. Out: a folder:

    release.json     the document, as a box has it (contracts/release)
    uki.efi          kernel, initrd and arguments; addon.efi: which release it is, for a box of this name
    loader.efi       systemd-boot
    layers/ROOT      EROFS, as the update server has them
    manifest.json    {"format": 1, "release": .., "content": .., "files": {path: {"sha256": .., "size": ..}}}

Rules: nothing is signed, so no box of a fleet takes it; the same input gives the same bytes; the folder takes its name
when it is whole, over one that this made before.

    write_release(Path("out/demo-release"), store, "demo", spec, OciLayout(Path("images")))
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gitops.assemble.release import BOOTLOADER, INITRD, TOOLBOX, Assembled, Assembler
from gitops.errors import AssembleError
from gitops.model import Box, Image, Revision, Spec, canonical
from gitops.oci.layout import OciLayout
from gitops.store import Store
from gitops.store.files.blobs import digest_file
from gitops.workflows.media.assembling import built

MANIFEST, FORMAT = "manifest.json", 1
OWN = {TOOLBOX: "toolbox", INITRD: "initrd", BOOTLOADER: "bootloader"}
RECIPE = 2
NOBODY = Revision("", "", 0, 0)
NONE = "none"
"""No server, and no modules."""


def write_release(target: Path, store: Store, name: str, spec: Spec, images: OciLayout) -> list[Path]:
    """The folder. `name`: of the box.

    Raises:
        AssembleError: an image or a package is missing, or cannot become a release; `target` is something else.
    """
    if target.exists() and not (target / MANIFEST).is_file():
        raise AssembleError(f"{target} is there already, and no release", hint="name another --name or --dir")
    if spec.kernel_tar == NONE:
        raise AssembleError("a release needs the modules of its kernel", hint="leave `tar: none` out of `kernel:`")
    assembler = Assembler.of(store, {**_own(store), **_taken(store, spec, images)}, RECIPE)
    made = assembler.assemble(Box(name, "", spec), NOBODY, NONE)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        new = Path(scratch, "new")
        _lay_out(new, store, made)
        if target.exists():
            target.rename(Path(scratch, "old"))
        new.rename(target)
    return [target]


def _own(store: Store) -> Mapping[str, Image]:
    found = {key: built(store, name) for key, name in OWN.items()}
    if missing := [key.removeprefix("@pkg:") for key, image in found.items() if image is None]:
        hint = f"`toweros build {' '.join(missing)} --dir REPO` (REPO as `toweros init` makes it)"
        raise AssembleError(f"a release is made with {', '.join(missing)}, which nobody built here", hint=hint)
    return {key: image for key, image in found.items() if image}


def _taken(store: Store, spec: Spec, images: OciLayout) -> Mapping[str, Image]:
    """The spec's images, their layers in the store."""
    taken = {}
    for name, image in images.images(dict.fromkeys(spec.images())).items():
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=store.paths.root) as scratch:
            layers = [store.blobs.put_file(tar, move=True).sha256 for tar in images.layers(name, Path(scratch))]
        taken[name] = Image(name, images.digest(name), image.config, tuple(layers))
    return taken


def _lay_out(folder: Path, store: Store, made: Assembled) -> None:
    (folder / "layers").mkdir(parents=True)
    boot = {"uki.efi": made.uki, "addon.efi": made.addon, "loader.efi": made.loader}
    for path, data in {"release.json": made.release.encode(), **boot}.items():
        (folder / path).write_bytes(data)
    for layer in made.release.layers():
        shutil.copyfile(store.layers.path(layer.root), folder / "layers" / layer.root)
    refs = {str(path.relative_to(folder)): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {path: {"sha256": ref.sha256, "size": ref.size} for path, ref in refs.items()}
    told = {"format": FORMAT, "release": made.release.digest, "content": made.release.content.digest, "files": files}
    (folder / MANIFEST).write_bytes(canonical(told))
