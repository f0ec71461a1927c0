"""OCI layer tars become EROFS layers, named by their verity root (docs/formats.md, "Layer").

In: a layer's uncompressed tar. Out: a `Layer`, its image in `store.layers`. Rules: never unpacked; the tar is read
once, by us (`tars`); the toolbox's mkfs.erofs gets a canonical tar of what was read, and what it makes is read again
and compared; the same content gives the same bytes, whatever the order of the tar; what was made once is found by (diff
id, recipe). A tar that a container runtime would not unpack is refused.

    Layers(store, toolbox, recipe=1).of_blob(diff_id)  ->  Layer(root="5c1e...", size=4194304)
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from gitops.assemble.tars.canonical import write
from gitops.assemble.tars.compare import check_image
from gitops.assemble.tars.reader import reading
from gitops.assemble.toolbox import Toolbox, Workspace, layer_tar
from gitops.errors import AssembleError, ProcessError
from gitops.model import Layer, sha256
from gitops.store import Store
from gitops.store.files.verity import root_hash

log = structlog.get_logger(__name__)

UUID = "74f53e17-6c61-5965-8e31-6572656c6179"
OPTIONS = ("--quiet", "--tar=f", "--aufs", "-T0", "--all-time", "-Enoinline_data", f"-U{UUID}")
IMAGE = "layer.erofs"
CANONICAL = "layer.tar"


class Layers:
    """Layers by what they are made of: found in the store, or made and remembered there.

    `recipe` numbers our rules: a layer that was made by other rules is made again.
    """

    def __init__(self, store: Store, toolbox: Toolbox, recipe: int = 1) -> None:
        self._store, self._toolbox, self._recipe = store, toolbox, recipe
        self._whole = set[str]()

    def of_blob(self, diff_id: str) -> Layer:
        """The layer of a tar that is in `store.blobs`.

        Raises:
            AssembleError: the tar is missing or damaged, or holds what no layer may hold.
        """
        existing = self._store.builds.layer(diff_id, self._recipe)
        if existing:
            return existing
        return self._make(diff_id, self.tar(diff_id))

    def tar(self, diff_id: str) -> Path:
        """A layer's tar in the store, compared with its digest once. Raises as `layer_tar`."""
        if diff_id not in self._whole:
            layer_tar(self._store, diff_id)
            self._whole.add(diff_id)
        return self._store.blobs.path(diff_id)

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
        AssembleError: see `check_tar`; or mkfs.erofs refuses the tar, or makes something else of it.
    """
    with reading(tar) as contents:
        if "" in contents.opaque:
            hint = "build the image without `.wh..wh..opq` in its root"
            raise AssembleError(f"{tar.name} hides every layer below it, which the box's overlay cannot do", hint=hint)
        with work.path(CANONICAL).open("wb") as stream:
            write(contents, stream)
        # `--aufs`: `.wh.` files become what overlayfs takes for a whiteout.
        try:
            work.run(["mkfs.erofs", *OPTIONS, IMAGE, CANONICAL])
        except ProcessError as error:
            raise AssembleError(f"{tar.name}: mkfs.erofs: {error.message}") from error
        check_image(contents, work.path(IMAGE))
    work.path(CANONICAL).unlink()
    return Layer(root_hash(work.path(IMAGE)), work.path(IMAGE).stat().st_size)


def check_tar(tar: Path) -> None:
    """Read a layer tar, and make nothing of it.

    Raises:
        AssembleError: it is damaged or cut short, or a path leaves the root, or it holds what no layer may hold.
    """
    with reading(tar):
        pass
