"""What belongs to TowerOS and is no Python: the fleet repo's template, `boot/`, `pkg/`, the pages, the lists.

In: where this command was installed from. Out: a folder as `model.Tree`, or one file's text. Rules: a checkout is read
as it is; whoever installed a wheel has the same files in one tar inside the package (`ARCHIVE`, which setup.py writes),
with modes and links, so that both make a fleet repo of the same tree ids. Nobody else asks where TowerOS lies.

    tree("pkg").tree_id("")
    text("debian-packages.txt")
"""

import posixpath
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path

from gitops.errors import SourceError, TowerosError
from gitops.model import Entry, Tree
from gitops.source.clone.trees import FolderTree, object_id, tree_ids
from gitops.source.objects.bounds import FILE, LINK, MAX_FILE, PROGRAM, Bounds

CHECKOUT = Path(__file__).resolve().parents[3]
"""Where the folders are beside the package `gitops`, in a checkout."""
ARCHIVE = CHECKOUT / "gitops" / "toweros.tar"
"""In what is installed of a wheel: USTAR, sorted, paths as in the checkout."""
AGAIN = "it was not installed as a whole: install the wheel again, or run `make install` in a checkout"


def installed() -> bool:
    """Whether this is a wheel, and not a checkout."""
    return ARCHIVE.is_file()


def tree(name: str) -> Tree:
    """One folder: `boot`, `pkg`, `fleet-repo-template`, `docs` or `contrib`; paths are below it.

    Raises:
        TowerosError: it is not here, or what is here is damaged.
    """
    try:
        return TarTree(ARCHIVE, name) if installed() else FolderTree(CHECKOUT / name)
    except (SourceError, tarfile.TarError, OSError, EOFError) as error:
        place = f"{ARCHIVE}: {name}/" if installed() else CHECKOUT / name
        raise TowerosError(f"{place} is missing or damaged", hint=AGAIN) from error


def text(name: str) -> str:
    """A file at the top.

    Raises:
        TowerosError: as `tree`.
    """
    try:
        return TarTree(ARCHIVE).read(name).decode() if installed() else (CHECKOUT / name).read_text()
    except (SourceError, tarfile.TarError, OSError, EOFError, KeyError) as error:
        raise TowerosError(f"{name} is missing or damaged", hint=AGAIN) from error


class TarTree:
    """The files of a tar below a folder of it, as `model.Tree`: all in memory, some megabytes."""

    def __init__(self, archive: Path, folder: str = "") -> None:
        self._data: dict[str, bytes] = {}
        self._entries: dict[str, Entry] = {}
        bounds, top = Bounds(), f"{folder}/" if folder else ""
        with tarfile.open(archive, "r:") as files:
            for member in files:
                if member.name.startswith(top) and not member.isdir():
                    self._take(files, member, member.name.removeprefix(top), bounds)
        if not self._entries:
            raise SourceError(f"{archive}: there is no {folder}")
        self._ids = tree_ids(self._entries)

    def _take(self, files: tarfile.TarFile, member: tarfile.TarInfo, path: str, bounds: Bounds) -> None:
        if not (member.isreg() or member.issym()) or member.size > MAX_FILE or path != posixpath.normpath(path):
            raise SourceError(f"{path}: is nothing that a checkout has")
        mode = LINK if member.issym() else PROGRAM if member.mode & stat.S_IXUSR else FILE
        content = None if member.issym() else files.extractfile(member)
        data = content.read() if content else member.linkname.encode()
        bounds.add(path, mode, len(data))
        self._data[path] = data
        self._entries[path] = Entry(path, mode, object_id("blob", data), len(data))

    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def read(self, path: str) -> bytes:
        return self._data[path]

    def tree_id(self, folder: str) -> str:
        return self._ids[folder.strip("/")]
