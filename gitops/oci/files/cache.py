"""The store as LinuxKit's people know their cache: which images are there, one as a file, one less.

In: a store. Out: rows, an OCI layout (a folder, or a tar of one). Rules: an image is named by its reference (packages),
by `REPOSITORY@sha256:DIGEST` (those of others), or by its digest; what boxes are asked to run is never forgotten; blobs
of what is forgotten go when the controller collects.

    cache = Cache(store)
    cache.export(["toweros/media-tools:4f2c"], Path("tools/"), "")
"""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gitops.errors import AssembleError
from gitops.files.whole import beside, held, whole
from gitops.model import AppImage, BlobRef, Image, Json, canonical
from gitops.oci.elsewhere import ANY, blobs_of, stored
from gitops.oci.image import oci_image
from gitops.oci.layout import REF_NAME
from gitops.oci.plain import unpacked_image
from gitops.oci.registry import MANIFEST
from gitops.store import Store
from gitops.store.notes.documents import AppImageBlobs, AppImages, ImageOrigins

SHOWN = 20
LAYOUT = canonical({"imageLayoutVersion": "1.0.0"})


@dataclass(frozen=True)
class Cached:
    """One image. `package`: the key of the package that it was built of."""

    names: tuple[str, ...]
    digest: str
    size: int
    image: AppImage
    package: str = ""


class Cache:
    """The images of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def images(self) -> list[Cached]:
        """All whose blobs are here, by name."""
        return sorted([*self._built(), *self._others()], key=lambda one: (one.names, one.digest))

    def find(self, name: str) -> Cached:
        """The image of a name or digest.

        Raises:
            AssembleError: there is none, or more than one.
        """
        images = self.images()
        hits = [one for one in images if name.removeprefix("sha256:") == one.digest or name in one.names]
        if len({one.digest for one in hits}) != 1:
            there = [one.names[0] for one in (hits or images)][:SHOWN]
            message = f"{len(hits)} images are named {name}" if hits else f"there is no image {name}"
            raise AssembleError(message, hint=f"there is {', '.join(there) or 'nothing'}")
        return hits[0]

    def plain(self, name: str) -> list[Path]:
        """The layers of an image as plain tars, the lowest first.

        Raises:
            AssembleError: there is no such image. RegistryError: a layer is damaged.
        """
        image = unpacked_image(self._store, name, self.find(name).image)
        return [self._store.blobs.path(layer) for layer in image.layers]

    def export(self, names: Sequence[str], folder: Path, called: str) -> None:
        """Add images to an OCI layout in a folder, by the names that were asked for, or `called`.

        Raises:
            AssembleError: there is no such image, or the folder cannot be written.
        """
        found = {called or name: self.find(name).image for name in names}
        try:
            self._export(found, folder)
        except OSError as error:
            raise AssembleError(f"{folder}: {error.strerror}", hint="name a place that can be written") from error

    def remove(self, name: str) -> None:
        """Forget an image.

        Raises:
            AssembleError: there is none, or a box needs it.
        """
        one = self.find(name)
        if one.package:
            self._store.builds.forget_image(one.package)
        elif self._needed(one):
            raise AssembleError(f"{name} is what boxes are asked to run", hint="take it out of the fleet repo first")
        else:
            self._forget(one)

    def clean(self) -> list[Cached]:
        """Forget all images of others that no box needs. Which these were."""
        gone = [one for one in self._others() if not self._needed(one)]
        for one in gone:
            self._forget(one)
        return gone

    def _built(self) -> Iterator[Cached]:
        images = [image for key in self._store.builds.usable() if (image := self._store.builds.image(key))]
        for image in images:
            made = oci_image(self._store, image)
            yield Cached((_reference(image),), made.digest, _size(made), made, image.key)

    def _others(self) -> Iterator[Cached]:
        for digest in self._store.notes.each(AppImageBlobs):
            if image := stored(self._store, digest):
                origins = (self._store.notes.get(ImageOrigins, digest) or ImageOrigins()).names
                names = tuple(f"{name}@sha256:{digest}" for name in origins if name != ANY)
                yield Cached(names or (f"sha256:{digest}",), digest, _size(image), image)

    def _needed(self, one: Cached) -> bool:
        rows = (self._store.notes.get(AppImages) or AppImages()).rows
        return any(one.image.digest in blobs for blobs in rows.values())

    def _forget(self, one: Cached) -> None:
        for kind in (AppImageBlobs, ImageOrigins):
            self._store.notes.forget(kind, {one.digest})

    def _export(self, found: dict[str, AppImage], folder: Path) -> None:
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        with held(folder):  # two who add to it at once: else the list of the later one lacks what the other added
            self._add(found, folder, blobs)

    def _add(self, found: dict[str, AppImage], folder: Path, blobs: Path) -> None:
        rows = [row for row in _existing(folder) if row.get("annotations", {}).get(REF_NAME) not in found]
        for name, image in sorted(found.items()):
            for ref in blobs_of(self._store, image):
                if not (blobs / ref.sha256).exists():
                    with beside(blobs / ref.sha256) as new:
                        shutil.copyfile(self._store.blobs.path(ref.sha256), new)
            about = {"mediaType": MANIFEST, "digest": f"sha256:{image.digest}", "size": len(image.manifest)}
            rows.append(about | {"annotations": {REF_NAME: name}})
        for name, data in (("oci-layout", LAYOUT), ("index.json", canonical({"schemaVersion": 2, "manifests": rows}))):
            with whole(folder / name) as stream:  # the list last: whoever reads it meanwhile finds all that it names
                stream.write(data)


def as_tar(folder: Path, output: BinaryIO) -> None:
    """An OCI layout as a tar, the same for the same images."""
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = tarfile.TarInfo(str(path.relative_to(folder)))
            info.size = path.stat().st_size
            with path.open("rb") as stream:
                archive.addfile(info, stream if info.size else io.BytesIO())


def _existing(folder: Path) -> list[Json]:
    try:
        rows: list[Json] = json.loads((folder / "index.json").read_bytes())["manifests"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise AssembleError(f"{folder} holds an index.json that is none", hint="name an empty folder") from error
    return rows


def _reference(image: Image) -> str:
    return image.reference or image.key


def _size(image: AppImage) -> int:
    refs: tuple[BlobRef, ...] = image.layers
    return sum(ref.size for ref in refs)
