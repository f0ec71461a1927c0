"""The pinned image tools: programs of the toolbox package, run in its own root.

In: the toolbox Image, whose layer tars are in the store. Out: what its programs print and write. Rules: a toolbox is
unpacked once per key, under a temporary name that is renamed when whole; nothing of the host's programs takes part
in making an image but `tar` and `chroot`; each use has a folder of its own that is gone afterwards.

    toolbox = Toolbox.unpack(store, image)
    with toolbox.workspace() as work:
        work.take(tar, "in.tar")
        work.run(["mkfs.erofs", "--tar=f", "out.erofs", "in.tar"])
        work.path("out.erofs")
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gitops.errors import AssembleError
from gitops.model import Image
from gitops.process import DEFAULT_TIMEOUT, run
from gitops.store.files.blobs import digest_file

if TYPE_CHECKING:
    from gitops.store import Store

log = structlog.get_logger(__name__)

WORK = "work"
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
DEVICES = (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9))
"""What programs open by habit, with the numbers of the kernel's admin-guide/devices.txt."""


class Workspace:
    """One folder inside the toolbox's root, seen from both sides."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / name

    def take(self, source: Path, name: str) -> None:
        """Make `source` visible under `name`: a hard link where the file system allows it, else a copy."""
        try:
            os.link(source, self.path(name))
        except OSError:
            shutil.copyfile(source, self.path(name))

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout: float = DEFAULT_TIMEOUT) -> bytes:
        """Run a program of the toolbox in this folder.

        Raises:
            ProcessError: it fails, or takes longer than `timeout` seconds.
        """
        inside = f"/{self.folder.relative_to(self._root)}"
        return run(["chroot", self._root, "env", "-C", inside, *command], stdin=stdin, timeout=timeout)

    def tool(self, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        """As `run`, with an environment; paths are those of this folder, as everybody else sees them."""
        settings = [f"{name}={value}" for name, value in env.items()]
        inside = [str(word.relative_to(self.folder) if isinstance(word, Path) else word) for word in command]
        self.run(["env", *settings, *inside])


class Toolbox:
    """An unpacked toolbox. `key` names its content: what it makes may be remembered by it."""

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self.key = key

    @classmethod
    def unpack(cls, store: "Store", image: Image) -> "Toolbox":
        """The toolbox of an image: unpacked on first use.

        Raises:
            AssembleError: a layer is missing, or this is not the superuser.
        """
        root = store.paths.toolbox / image.key
        if not root.is_dir():
            _check_root()
            log.info("toolbox.unpack", key=image.key)
            _unpack(store, image, root)
        return cls(root, image.key)

    @classmethod
    def of_tars(cls, folder: Path, key: str, tars: Callable[[Path], Sequence[Path]]) -> "Toolbox":
        """The toolbox of an image that no store has, below `folder`: `tars` writes its layers on first use.

        Raises:
            AssembleError: this is not the superuser.
        """
        root = folder / key
        if not root.is_dir():
            _check_root()
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
                _unpack_tars(tars(Path(scratch)), root)
        return cls(root, key)

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """A folder for one piece of work, gone afterwards."""
        base = self._root / WORK
        base.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base) as folder:
            yield Workspace(self._root, Path(folder))


def _check_root() -> None:
    if os.geteuid() != 0:
        raise AssembleError("the toolbox can only be used by root", hint="run it as root")


def _unpack(store: "Store", image: Image, root: Path) -> None:
    _unpack_tars([layer_tar(store, diff_id) for diff_id in image.layers], root)


def layer_tar(store: "Store", diff_id: str) -> Path:
    """A layer's tar in the store, compared with its digest. A damaged one is taken away: the next pass makes it again,
    where another byte would have been signed.

    Raises:
        AssembleError: it is missing or damaged.
    """
    path = store.blobs.path(diff_id)
    if not path.is_file():
        raise AssembleError(f"layer tar sha256:{diff_id} is missing from the store", hint="build the package again")
    if digest_file(path).sha256 != diff_id:
        store.blobs.remove(diff_id)
        raise AssembleError(f"layer tar sha256:{diff_id} was damaged on disk", hint="the next pass makes it again")
    return path


def _unpack_tars(tars: Sequence[Path], root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=root.parent))
    try:
        new.chmod(0o755)
        for tar in tars:
            run(["tar", "-xpf", tar, "--numeric-owner", "-C", new])
            _apply_whiteouts(new)
        _add_devices(new)
        new.replace(root)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _apply_whiteouts(root: Path) -> None:
    """Do what the `.wh.` files of the layer just unpacked ask for (OCI image spec, "Whiteouts")."""
    marks = [Path(folder, name) for folder, _, names in os.walk(root) for name in names if name.startswith(WHITEOUT)]
    for mark in marks:
        mark.unlink()
        if mark.name == OPAQUE:
            raise AssembleError(f"the toolbox has an opaque folder, {mark.parent.relative_to(root)}")
        hidden = mark.with_name(mark.name.removeprefix(WHITEOUT))
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden)
        else:
            hidden.unlink(missing_ok=True)


def _add_devices(root: Path) -> None:
    folder = root / "dev"
    folder.mkdir(exist_ok=True)
    for name, major, minor in DEVICES:
        if not (folder / name).exists():
            os.mknod(folder / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            (folder / name).chmod(0o666)
