"""Real packages for tests: built once by the project's own builder, kept between runs in `state/tests/`.

Everything in there is found again by the hash of its inputs, so keeping it changes no result; `make clean` removes it.
"""

import fcntl
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from gitops.assemble.release import BOOTLOADER, Assembler
from gitops.assemble.toolbox import Toolbox
from gitops.builders import BuildahBuilder
from gitops.fleet.packages import load_packages
from gitops.model import Image, Layer
from gitops.source import FolderTree
from gitops.store import Store, tables
from gitops.store.notes.documents import AssembledFiles

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("TOWEROS_TEST_STATE", CHECKOUT / "state" / "tests"))
FIELD = FOLDER / "field"


@contextmanager
def alone(what: str = "build") -> Iterator[None]:
    """One test process at a time builds (or does something else, by name)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{what}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def one_of(*names: str) -> Iterator[str]:
    """Whatever of these no other process has; the last is waited for."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        with (FOLDER / f"{name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX if name == names[-1] else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield name
            return


@functools.cache
def store() -> Store:
    return Store.open(FIELD / "state", migrate=True)


def lend(root: Path) -> Store:
    """Another store, in which everything that this one built is found too: linked, not copied."""
    other = Store.open(root)
    with alone():
        _share(store(), other)
    return other


def give_back(other: Store) -> None:
    """What a store that was lent has built since is found in this one, too."""
    with alone():
        _share(other, store())


def _share(giver: Store, taker: Store) -> None:
    for kind in ("blobs/sha256", "layers"):
        for path in (giver.paths.root / kind).glob("[0-9a-f]*"):
            link = taker.paths.root / kind / path.name
            if path.is_file() and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, link)
    for key in giver.builds.image_keys() - taker.builds.image_keys():
        built = giver.builds.image(key)
        assert built
        taker.builds.save_image(built)
    _share_what_was_made(giver, taker)


def _share_what_was_made(giver: Store, taker: Store) -> None:
    """What the assembler remembers: the layer of a tar, and files made of images, an initrd among them."""
    with giver.builds._database.read() as connection:
        rows = connection.execute(select(tables.layers)).all()
    for row in rows:
        if not taker.builds.layer(row.diff_id, row.recipe):
            taker.builds.save_layer(row.diff_id, row.recipe, Layer(row.root, row.size))
    there = taker.notes.each(AssembledFiles)
    new = [(files, key) for key, files in giver.notes.each(AssembledFiles).items() if key not in there]
    taker.notes.put_together(*new)


@functools.cache
def image(path: str) -> Image:
    """A package of this checkout, built."""
    tree = FolderTree(CHECKOUT)
    packages = load_packages(tree, 1, "linux/amd64", [])
    with alone():
        return BuildahBuilder(store()).build(packages[path], tree, packages)


@functools.cache
def toolbox() -> Toolbox:
    built = image("pkg/toolbox")
    with alone():
        return Toolbox.unpack(store(), built)


@functools.cache
def media_tools() -> Toolbox:
    """What makes media: xorriso, GRUB, mtools and the rest of pkg/media-tools."""
    built = image("pkg/media-tools")
    with alone():
        return Toolbox.unpack(store(), built)


def toolbox_root() -> Path:
    return store().paths.toolbox / toolbox().key


@functools.cache
def boot_files() -> dict[str, Path]:
    """systemd-boot, our stub and the addon's, by name."""
    assembler = Assembler(store(), toolbox(), {BOOTLOADER: image("pkg/bootloader")})
    with alone():
        found = assembler.boot_files()
    return {name: store().blobs.path(ref.sha256) for name, ref in found.items()}


@functools.cache
def kernel(path: str = "pkg/kernel") -> Path:
    """A folder with `kernel` and `kernel.tar`."""
    built = image(path)
    folder, tools = FOLDER / f"kernel-{built.key}", toolbox()
    with alone():
        found = Assembler(store(), tools, {"kernel": built}).kernel("kernel")
        folder.mkdir(exist_ok=True)
        for name, ref in (("kernel", found.kernel), ("kernel.tar", found.modules)):
            if not (folder / name).exists():
                os.link(store().blobs.path(ref.sha256), folder / name)
    return folder
