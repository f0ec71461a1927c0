"""The default builder: buildah, without a daemon and without network.

In: a Package, its Tree and its built siblings. Out: an Image; its layers' tars are blobs. Rules: the same key is never
built twice; a build runs in a network namespace of its own that has no way out; times are fixed, so equal inputs give
equal layers; whatever a stopped build leaves behind is not seen by the next.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from gitops.builders.bases.fetch import Bases
from gitops.builders.bases.lending import name_of, names_of, write_dockerfile, write_folder
from gitops.builders.builder import LABEL, NAME, TIMEOUT, arguments, existing, log_file
from gitops.builders.context import STILL, write_context
from gitops.builders.inputs import fetch_inputs
from gitops.builders.places import Places
from gitops.errors import BuildError, ProcessError
from gitops.model import AppImage, Image, Package, Tree
from gitops.process import run
from gitops.settings import Settings
from gitops.store import Store

log = structlog.get_logger(__name__)

MINIMUM_FREE = 2 << 30
"""Bytes that must be free before a build begins: a full disk in the middle of one helps nobody."""


class BuildahBuilder:
    """Implements `Builder` with a private buildah storage below the store.

    `lender` is another store's folder, whose images may be stood on and are never changed. `still`: seconds that
    mmdebstrap may stand still.
    """

    def __init__(
        self,
        store: Store,
        lender: Path | None = None,
        places: Places | None = None,
        bases: Bases | None = None,
        still: float = STILL,
    ) -> None:
        self._still = still
        self._store, self._places, self._bases = store, places, bases or Bases(Settings(), store)
        self._root = store.paths.builder
        lent = lender.resolve() / "buildah" / "storage" if lender else None
        self._lent = ["--storage-opt", f"additionalimagestore={lent}"] if lent and lent.is_dir() else []

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        """See `Builder.build`."""
        if image := existing(self._store, package):
            return image
        for sibling in package.depends:
            if not self._has(packages[sibling].key):
                self._store.builds.forget_image(packages[sibling].key)
                self.build(packages[sibling], tree, packages)
        fetch_inputs(self._store, package, self._places)
        bases = self._bases.fetch(package, tree)
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".build-") as work:
            for number, (name, base) in enumerate(bases.items()):
                self._lend_base(name, base, Path(work, f"base-{number}"))
            context = Path(work, "context")
            context.mkdir()
            write_context(self._store, package, tree, context, self._still)
            dockerfile = (
                write_dockerfile(package, tree, context, Path(work, "Dockerfile")) or context / package.dockerfile
            )
            self._bud(package, packages, context, dockerfile)
            image = self._export(package, Path(work, "image"))
        self._store.builds.save_image(image)
        log.info("image.built", package=package.path, key=package.key, layers=len(image.layers))
        return image

    def prune(self, keep: Iterable[Package]) -> None:
        """See `Builder.prune`."""
        wanted = names_of(keep)
        listed = json.loads(self._buildah("images", "--json") or b"[]") or []
        # By their names: what has several is not removed by its id.
        stale = [name for image in listed for name in image.get("names") or [image["id"]] if name not in wanted]
        for name in stale:
            try:
                # An image on which another one stands cannot go before that one.
                self._buildah("rmi", name)
            except ProcessError as error:
                log.debug("prune.in_use", image=name, reason=error.message)

    def _lend_base(self, name: str, image: AppImage, folder: Path) -> None:
        """Put a base image into our storage, under our name of it, unless it is there."""
        try:
            self._buildah("inspect", "--type", "image", name_of(name))
        except ProcessError:
            write_folder(self._store, image, folder)
            try:
                pulled = self._buildah("pull", "--quiet", f"dir:{folder}", offline=True).decode().split()[-1]
            except ProcessError as error:
                away = error.code is None
                raise BuildError(f"{name} cannot be read: {error.message}", hint=error.hint, transient=away) from error
            self._buildah("tag", pulled, name_of(name))

    def _bud(self, package: Package, packages: Mapping[str, Package], context: Path, dockerfile: Path) -> None:
        given = [f"--build-arg={name}={value}" for name, value in arguments(package, packages).items()]
        label = ["--label", f"{LABEL}={json.dumps(package.config, sort_keys=True)}"] if package.config else []
        logged = log_file(self._store, package)
        # `--timestamp 0`: equal inputs give equal layers. `--isolation chroot` needs no container runtime.
        command = [
            *("bud", "--isolation", "chroot", "--layers", "--force-rm", "--timestamp", "0", "--pull-never"),
            *label,
            *given,
        ]
        try:
            named = ("--file", str(dockerfile), "--tag", f"{NAME}:{package.key}")
            output = self._buildah(*command, *named, str(context), offline=True)
        except ProcessError as error:
            logged.write_text(error.log or error.message)
            hint, away = f"the log is {logged}", error.code is None  # out of time, killed, or not installed
            raise BuildError(f"{package.path}: {error.message}", hint=hint, transient=away) from error
        logged.write_bytes(output)

    def _export(self, package: Package, folder: Path) -> Image:
        """Take the layers out, uncompressed (a tar's digest is then its diff id), into the store.

        buildah compresses whatever it writes as an OCI layout; its `dir:` transport leaves layers as they are.
        """
        self._buildah("push", "--quiet", "--disable-compression", f"{NAME}:{package.key}", f"dir:{folder}")
        manifest = json.loads((folder / "manifest.json").read_text())
        config = json.loads((folder / _hex(manifest["config"]["digest"])).read_text())
        layers = tuple(_hex(layer["digest"]) for layer in manifest["layers"])
        if layers != tuple(_hex(diff_id) for diff_id in config["rootfs"]["diff_ids"]):
            raise BuildError(f"{package.path}: buildah pushed a compressed layer", hint="use buildah 1.28 or newer")
        for diff_id in layers:
            self._store.blobs.put_file(folder / diff_id, move=True)
        return Image(package.tag, package.key, config.get("config", {}), layers)

    def _has(self, key: str) -> bool:
        try:
            self._buildah("inspect", "--type", "image", f"{NAME}:{key}")
        except ProcessError:
            return False
        return self._store.builds.image(key) is not None

    def _buildah(self, *words: str, offline: bool = False) -> bytes:
        _check_free(self._store.paths.root)
        # An empty network namespace around all of it, whatever buildah makes of its own options.
        alone = ["unshare", "--net"] if offline else []
        storage = ["--root", str(self._root / "storage"), "--runroot", str(self._root / "run")]
        return run([*alone, "buildah", *storage, *self._lent, *words], timeout=TIMEOUT)


def _check_free(folder: Path) -> None:
    """Raises BuildError when the disk is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < MINIMUM_FREE:
        hint = "`toweros build --prune`, or a bigger disk"
        raise BuildError(f"{folder}: only {free >> 20} MiB are free", hint=hint, transient=True)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
