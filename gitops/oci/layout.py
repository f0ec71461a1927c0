"""Images of an OCI layout folder: their configs and layers.

In: a folder with an OCI image layout (image-spec 1.1: index.json, blobs/), as `buildah push IMAGE oci:DIR:NAME` makes
it. Rules: images are found by the annotation `org.opencontainers.image.ref.name`; every blob is checked against its
digest; layers are tar or tar+gzip; no tar is unpacked.

    layout = OciLayout(Path("images"))
    layout.layers("alpine:3.20", scratch)      # [scratch/0.tar, scratch/1.tar]
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gitops.errors import AssembleError, RegistryError
from gitops.model import Image, Json, sha256
from gitops.oci.image import for_us

REF_NAME = "org.opencontainers.image.ref.name"
MAX_DEPTH = 4
"""Indexes inside indexes."""


class OciLayout:
    """An OCI image layout folder.

    Raises:
        AssembleError: it is none, an image is not there, or a blob is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            manifests = json.loads((folder / "index.json").read_bytes())["manifests"]
            self._named = {m["annotations"][REF_NAME]: m for m in manifests if REF_NAME in m.get("annotations", {})}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "name a folder as `buildah push IMAGE oci:DIR:NAME` makes it"
            raise AssembleError(f"{folder} is no OCI layout: {error}", hint=hint) from error

    def images(self, names: Iterable[str]) -> Mapping[str, Image]:
        """The named images; their `layers` are digests of the blobs, which are diff ids where nothing is compressed."""
        return {name: self._image(name) for name in names}

    def all(self) -> Iterator[tuple[bytes, bytes, Iterator[bytes]]]:
        """(manifest, config, layers as they lie there) of every image that has a name."""
        for entry in self._named.values():
            manifest = self._blob(entry["digest"])
            document = json.loads(manifest)
            if "manifests" in document:
                manifest = self._blob(_ours(document, entry["annotations"][REF_NAME])["digest"])
                document = json.loads(manifest)
            if "layers" in document:
                layers = (self._blob(layer["digest"]) for layer in document["layers"])
                yield manifest, self._blob(document["config"]["digest"]), layers

    def layers(self, name: str, folder: Path) -> list[Path]:
        """Write the layers of an image into an empty folder, as tars, and name them, the lowest first."""
        layers = []
        for index, layer in enumerate(self._manifest(name)["layers"]):
            layers.append(folder / f"{index}.tar")
            layers[-1].write_bytes(_plain(name, layer["mediaType"], self._blob(layer["digest"])))
        return layers

    def _image(self, name: str) -> Image:
        manifest = self._manifest(name)
        config = self._document(manifest["config"])
        layers = tuple(layer["digest"].removeprefix("sha256:") for layer in manifest["layers"])
        return Image(name, manifest["config"]["digest"].removeprefix("sha256:"), config.get("config") or {}, layers)

    def _manifest(self, name: str) -> Json:
        entry = self._named.get(name) or self._named.get(f"{name}:latest")
        if entry is None:
            raise AssembleError(f"{self._folder} holds no image {name}", hint="push it there under exactly this name")
        document = self._document(entry)
        for _ in range(MAX_DEPTH):
            if "manifests" not in document:
                return document
            document = self._document(_ours(document, name))
        raise AssembleError(f"{name}: indexes are nested too deep")

    def _document(self, descriptor: Json) -> Json:
        document: Json = json.loads(self._blob(descriptor["digest"]))
        return document

    def _blob(self, digest: str) -> bytes:
        try:
            # image-spec, Image Layout: blobs/ALGORITHM/HEX.
            data = (self._folder / "blobs" / digest.replace(":", "/")).read_bytes()
        except OSError as error:
            raise AssembleError(f"{self._folder}: blob {digest} is missing", hint="push the image again") from error
        if f"sha256:{sha256(data)}" != digest:
            raise AssembleError(f"{self._folder}: blob {digest} is damaged", hint="push the image again")
        return data


def _ours(index: Json, name: str) -> Json:
    """The entry of an index that is for our machines; of one that says no platforms, its only one."""
    entries = index["manifests"]
    if len(entries) == 1 and not entries[0].get("platform"):
        entry: Json = entries[0]
        return entry
    try:
        digest = for_us(index, name)
    except RegistryError as error:
        raise AssembleError(error.message, hint="name an image for our machines") from error
    return {"digest": f"sha256:{digest}"}


def _plain(name: str, media_type: str, data: bytes) -> bytes:
    if media_type.endswith("gzip"):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise AssembleError(f"{name}: a layer cannot be unpacked: {error}", hint="push the image again") from error
    if not media_type.endswith("tar"):
        raise AssembleError(f"{name}: a layer is {media_type}", hint="push it with --disable-compression")
    return data
