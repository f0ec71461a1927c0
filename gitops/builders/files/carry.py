"""`inputs` mirrors of one's own: locked files as plain files `sha256/HEX` in a folder, from a store and into one.

In: a store, a folder. Out: the files there, or here. Rules: whole files under their names only, whatever stops us; what
is there already and right is not copied again; what is not what its name says is never taken.

    export_inputs(store, packages, Path("/media/usb"))       # -> Carried(new=212, there=0)
    import_inputs(store, Path("/media/usb"))
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gitops.builders.files.copying import UnreadableError, copy
from gitops.errors import BuildError, StoreError
from gitops.model import Package
from gitops.store import Store
from gitops.store.files.blobs import HEX, arriving, digest_file
from gitops.store.files.layout import Scratch

FOLDER = "sha256"


@dataclass(frozen=True)
class Carried:
    """How many files are new, how many were there; `refused` are names of files that are not what they say,
    or cannot be read."""

    new: int
    there: int
    refused: tuple[str, ...] = ()


def export_inputs(store: Store, packages: Iterable[Package], folder: Path) -> Carried:
    """Write the locked files of packages, all of which the store has, into a folder.

    Raises:
        StoreError: the folder cannot be written, or is full; what is there whole stays. BuildError: a blob is damaged.
    """
    new = there = 0
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror}", hint="name a folder that can be written"
        ) from error
    for digest in sorted({file.sha256 for package in packages for file in package.lock}):
        target = folder / FOLDER / digest
        if target.is_file() and digest_file(target).sha256 == digest:
            there += 1
            continue
        with arriving(target) as file:
            if not _copied(store.blobs.path(digest), file, digest):
                raise BuildError(f"blob sha256:{digest} is damaged", hint=f"delete {store.blobs.path(digest)}")
        new += 1
    return Carried(new, there)


def import_inputs(store: Store, folder: Path) -> Carried:
    """Take every file of a folder that is what its name says into the store.

    Raises:
        BuildError: there is no such folder, or it cannot be read. StoreError: the store is full; what is whole stays.
    """
    new = there = 0
    refused = []
    for path in offered(folder):
        if not HEX.fullmatch(path.name):
            continue  # what an export that was stopped left, or somebody's notes
        if store.blobs.has(path.name):
            there += 1
        elif _take(store, path):
            new += 1
        else:
            refused.append(path.name)
    return Carried(new, there, tuple(refused))


def offered(source: Path) -> list[Path]:
    """What a folder brings. Raises BuildError when there is no such folder, or it cannot be read."""
    folder = source / FOLDER
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BuildError(f"{folder}: there is no such folder", hint="`toweros inputs export` makes one") from error
    except OSError as error:
        raise BuildError(f"{folder} cannot be read: {error.strerror}", hint="is the stick whole, and yours?") from error


def _copied(source: Path, target: Path, digest: str) -> bool:
    """Whether the copy is what it should be; not when the source cannot be read."""
    try:
        copy(source, target)
    except (UnreadableError, FileNotFoundError):
        return False
    return digest_file(target).sha256 == digest


def _take(store: Store, path: Path) -> bool:
    """The copy is what is checked: the original may be changed under our hands."""
    if path.is_symlink():
        return False
    with store.paths.scratch(Scratch.fetch) as folder:
        mine = Path(folder, "file")
        try:
            if not _copied(path, mine, path.name):
                return False
        except OSError as error:
            raise StoreError(f"cannot write {mine}: {error.strerror}", hint="is the disk full?") from error
        store.blobs.put_file(mine, move=True)
    return True
