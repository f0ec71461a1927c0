"""Compose apps in a release: their images as layers, and the compose files as the box reads them.

In: the apps of a box, built images by name, pulled ones by reference. Out: `files:` entries for /etc/compose, and the
`Mounted` that holds every staged image as the OCI image layout has blobs: `blobs/sha256/HEX` (image-spec 1.1). Rules:

- each blob is one EROFS layer of one file, so that a changed user container costs what a changed service costs, and
  verity, repair, deltas and collection are the same for both; manifests and configs together are one more layer;
- the box serves them to Docker on its own loopback, so an update, a fallback and a power cut need no registry;
- every image is named by its manifest's digest, in the release, and Docker checks what it pulls against that.

    staged = Apps(store, layers).stage(box.apps, images, pulled, mirror="")
    staged.files, staged.mounted
"""

import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops.assemble.layers import Layers
from gitops.assemble.root.tree import TreeEntry, parents, tar_of
from gitops.errors import AssembleError
from gitops.fleet.apps.written import text
from gitops.model import APPS, App, AppImage, Image, Json, Layer, Mounted, sha256
from gitops.oci.image import oci_image, repository_of
from gitops.store import Store

REGISTRY = "127.0.0.1:5000"
"""Where the box serves the images of its own release (pkg/images)."""
PLACE, TARGET = "images", "oci"
FOLDER = f"containers/{PLACE}/{TARGET}"
"""Where the initrd mounts them."""
BLOBS = "blobs/sha256"
PIDS = 1024
"""Processes and threads of a user container whose compose file does not say."""


@dataclass(frozen=True)
class Staged:
    """What the apps add to a release."""

    files: tuple[Json, ...] = ()
    mounted: Mounted | None = None


class Apps:
    """Makes it, with what all steps need."""

    def __init__(self, store: Store, layers: Layers) -> None:
        self._store, self._layers = store, layers

    def stage(
        self, apps: Iterable[App], images: Mapping[str, Image], pulled: Mapping[str, AppImage], mirror: str
    ) -> Staged:
        """Everything for a box.

        Raises:
            AssembleError: an image is neither built nor pulled, or the registry that an app asks for is not named.
        """
        files: list[Json] = []
        staged: dict[str, AppImage] = {}
        for app in apps:
            named = {name: self._image(name, images, pulled) for name in app.images.values()}
            files += app.files
            files.append(_compose_file(app, {name: _reference(app, name, named[name], mirror) for name in named}))
            if app.pull == "staged":
                staged |= {image.digest: image for image in named.values()}
        if not staged:
            return Staged(tuple(files))
        return Staged((*files, {"path": FOLDER, "directory": True, "mode": "0755"}), self._mounted(staged))

    def _image(self, name: str, images: Mapping[str, Image], pulled: Mapping[str, AppImage]) -> AppImage:
        if name in pulled:
            return pulled[name]
        if name not in images:
            raise AssembleError(f"there is no image {name}", hint="build or pull it first")
        return oci_image(self._store, images[name])

    def _mounted(self, staged: Mapping[str, AppImage]) -> Mounted:
        # Images that share a base share its blobs.
        blobs = dict.fromkeys(ref.sha256 for image in staged.values() for ref in image.layers)
        documents = {sha256(data): data for image in staged.values() for data in (image.manifest, image.config)}
        return Mounted(PLACE, TARGET, (self._documents(documents), *map(self._blob, blobs)))

    def _documents(self, documents: Mapping[str, bytes]) -> Layer:
        entries = [TreeEntry(f"{BLOBS}/{digest}", "file", 0o644, data=data) for digest, data in documents.items()]
        return self._layers.of_tar(tar_of([*parents(BLOBS), *entries]))

    def _blob(self, digest: str) -> Layer:
        return self._layers.written(blob_key(digest), lambda file: self._wrap(digest, file))

    def _wrap(self, digest: str, file: Path) -> None:
        """A tar with one blob in it."""
        if not self._store.blobs.has(digest):
            raise AssembleError(f"blob sha256:{digest} of a user container is missing", hint="build or pull it again")
        path = self._store.blobs.path(digest)
        with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive, path.open("rb") as blob:
            for folder in parents(BLOBS):
                archive.addfile(_info(folder.path, tarfile.DIRTYPE, 0o755))
            info = _info(f"{BLOBS}/{digest}", tarfile.REGTYPE, 0o644)
            info.size = path.stat().st_size
            archive.addfile(info, blob)


def blob_key(digest: str) -> str:
    """The hash by which the layer that holds one blob is found again."""
    return sha256(f"oci blob {digest}".encode())


def _reference(app: App, name: str, image: AppImage, mirror: str) -> str:
    """What Docker is to run, always by digest."""
    repository = repository_of(name)
    if app.pull == "staged":
        return f"{REGISTRY}/{repository}@sha256:{image.digest}"
    if not mirror:
        hint = "set `registry` in toweros.toml, or `pull: staged`"
        raise AssembleError(f"{app.path} is pulled from a registry, and none is named", hint=hint)
    return f"{mirror}/{repository}@sha256:{image.digest}"


def _compose_file(app: App, references: Mapping[str, str]) -> Json:
    """The app's compose file, with every image by its final name, and a bound on processes."""
    whole = app.services()
    services = {
        name: {**service, "image": references[app.images[name]], **_pids(whole[name])}
        for name, service in app.compose["services"].items()
    }
    contents = text(app.compose, services)
    return {"path": f"{APPS}/{app.name}/docker-compose.yml", "mode": "0644", "contents": contents}


def _pids(service: Json) -> Json:
    """The default, where the service has no limit of its own: compose takes only one of the two ways to say it."""
    limits: Any = service.get("deploy")
    for key in ("resources", "limits"):
        limits = limits.get(key) if isinstance(limits, dict) else None
    own = "pids_limit" in service or (isinstance(limits, dict) and "pids" in limits)
    return {} if own else {"pids_limit": PIDS}


def _info(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = kind, mode
    return info
