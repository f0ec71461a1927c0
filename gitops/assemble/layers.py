"""OCI layer tars become EROFS layers, named by their verity root (docs/formats.md, "Layer").

In: a layer's uncompressed tar. Out: a `Layer`, its image in `store.layers`. Rules: made straight from the tar by the
toolbox's mkfs.erofs, never unpacked; the same content gives the same bytes, whatever the order of the tar; what was
made once is found by (diff id, recipe). A tar that a container runtime would not unpack is refused.

    Layers(store, toolbox, recipe=1).of_blob(diff_id)  ->  Layer(root="5c1e...", size=4194304)
"""

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import structlog

from gitops.assemble.toolbox import Toolbox, Workspace
from gitops.assemble.verity import root_hash
from gitops.errors import AssembleError, ProcessError
from gitops.model import Layer, sha256
from gitops.store import Store

log = structlog.get_logger(__name__)

UUID = "74f53e17-6c61-5965-8e31-6572656c6179"
OPTIONS = ("--quiet", "--tar=f", "--aufs", "-T0", "--all-time", "-Enoinline_data", f"-U{UUID}")
IMAGE = "layer.erofs"
ROOT_ENTRY = tarfile.TarInfo("./")
"""Goes first: without it mkfs.erofs makes the root 0777, which sshd refuses. The tar's own entry, if any, wins."""
ROOT_ENTRY.type, ROOT_ENTRY.mode = tarfile.DIRTYPE, 0o755


class Layers:
    """Layers by what they are made of: found in the store, or made and remembered there.

    `recipe` numbers our rules: a layer that was made by other rules is made again.
    """

    def __init__(self, store: Store, toolbox: Toolbox, recipe: int = 1) -> None:
        self._store, self._toolbox, self._recipe = store, toolbox, recipe

    def of_blob(self, diff_id: str) -> Layer:
        """The layer of a tar that is in `store.blobs`.

        Raises:
            AssembleError: the tar is missing or damaged, or holds what no layer may hold.
        """
        existing = self._store.builds.layer(diff_id, self._recipe)
        if existing:
            return existing
        if not self._store.blobs.has(diff_id):
            raise AssembleError(f"layer tar sha256:{diff_id} is missing from the store", hint="build the package again")
        return self._make(diff_id, self._store.blobs.path(diff_id))

    def of_tar(self, tar: bytes) -> Layer:
        """The layer of a tar in memory."""
        return self.written(sha256(tar), lambda file: file.write_bytes(tar))

    def written(self, key: str, write: Callable[[Path], object]) -> Layer:
        """The layer of a tar that `write` puts into a file, if need be. `key` is a hash that names its content."""
        existing = self._store.builds.layer(key, self._recipe)
        if existing:
            return existing
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".tar-") as folder:
            tar = Path(folder, "layer.tar")
            write(tar)
            return self._make(key, tar)

    def _make(self, key: str, tar: Path) -> Layer:
        with self._toolbox.workspace() as work:
            layer = make_layer(work, tar)
            self._store.layers.add(work.path(IMAGE), layer.root)
        log.info("layer.made", root=layer.root, size=layer.size)
        self._store.builds.save_layer(key, self._recipe, layer)
        return layer


def make_layer(work: Workspace, tar: Path) -> Layer:
    """Make the EROFS image `IMAGE` in a workspace and name it.

    Raises:
        AssembleError: see `check_tar`; or mkfs.erofs refuses the tar.
    """
    check_tar(tar)
    with work.path("layer.tar").open("wb") as stream, tar.open("rb") as source:
        stream.write(ROOT_ENTRY.tobuf(tarfile.USTAR_FORMAT))
        shutil.copyfileobj(source, stream)
    # `--aufs`: `.wh.` files become what overlayfs takes for a whiteout.
    try:
        work.run(["mkfs.erofs", *OPTIONS, IMAGE, "layer.tar"])
    except ProcessError as error:
        raise AssembleError(f"{tar.name}: mkfs.erofs: {error.message}") from error
    return Layer(root_hash(work.path(IMAGE)), work.path(IMAGE).stat().st_size)


def check_tar(tar: Path) -> None:
    """Read every header of a layer tar before a tool does.

    Raises:
        AssembleError: it is damaged or cut short, or a path leaves the root, or it holds a device node.
    """
    try:
        with tarfile.open(tar, "r:") as archive:
            for member in archive:
                _check_member(tar.name, member)
            _check_end(tar, archive.offset)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise AssembleError(f"{tar.name} is not a whole tar: {error}", hint="build the package again") from error


def _check_member(name: str, member: tarfile.TarInfo) -> None:
    targets = [member.name, member.linkname] if member.islnk() else [member.name]
    for target in targets:
        if ".." in PurePosixPath(target).parts or target.startswith("/") or "\0" in target:
            raise AssembleError(f"{name}: the path {target!r} leaves the layer")
    if member.isdev() and not member.isfifo():
        raise AssembleError(f"{name}: {member.name} is a device node", hint="drop it from the image; /dev is mounted")


def _check_end(tar: Path, offset: int) -> None:
    """Python's reader takes a damaged header for the end of the archive: only zeros may follow the last member."""
    with tar.open("rb") as stream:
        stream.seek(offset)
        if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise AssembleError(f"{tar.name} is damaged near byte {offset}", hint="build the package again")
