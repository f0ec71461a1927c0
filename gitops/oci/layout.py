"""Images of an OCI layout folder: their configs and layers.

In: a folder with an OCI image layout (image-spec 1.1: index.json, blobs/), as `buildah push IMAGE oci:DIR:NAME` makes
it. Rules: images are found by the annotation `org.opencontainers.image.ref.name`; every blob is checked against its
digest; layers are compressed in whatever way (`plain`); no tar is unpacked.

    layout = OciLayout(Path("images"))
    layout.layers("alpine:3.20", scratch)      # [scratch/0.tar, scratch/1.tar]
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gitops.errors import AssembleError, RegistryError
from gitops.model import Image, Json, canonical, sha256
from gitops.oci.packed.unpacked import DAMAGE, MAX_UNPACKED, is_plain, unpack
from gitops.store.files.blobs import digest_file

REF_NAME = "org.opencontainers.image.ref.name"
MAX_DEPTH = 4
"""Indexes inside indexes."""
DIGEST = re.compile("sha256:[0-9a-f]{64}")
MAX_DOCUMENT = 4 << 20
"""Bytes of a manifest or config, as of a registry's."""


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
            why = error.strerror if isinstance(error, OSError) else error
            raise AssembleError(f"{folder} is no OCI layout: index.json: {why}", hint=hint) from error

    def names(self) -> list[str]:
        """Of all images."""
        return sorted(self._named)

    def images(self, names: Iterable[str]) -> Mapping[str, Image]:
        """The named images; their `layers` are digests of the blobs, which are diff ids where nothing is compressed."""
        found = {}
        for name in names:
            with self.sound(name):
                found[name] = self._image(name)
        return found

    def digest(self, name: str) -> str:
        """What names an image's content: the SHA-256 of its manifest, by which config and layers are named."""
        with self.sound(name):
            return sha256(canonical(self._manifest(name)))

    def layers(self, name: str, folder: Path) -> list[Path]:
        """Write the layers of an image into an empty folder, as tars, and name them, the lowest first."""
        digests = self._digests(name)
        layers = [folder / f"{index}.tar" for index, _ in enumerate(digests)]
        for digest, layer in zip(digests, layers, strict=True):
            self._unpack(name, self._checked(digest), layer)
        return layers

    def readable(self, name: str, folder: Path) -> list[Path]:
        """The same, for whoever only reads them: what is no copy is the layout's own file."""
        files = [self._checked(digest) for digest in self._digests(name)]
        layers = [file if is_plain(file) else folder / f"{index}.tar" for index, file in enumerate(files)]
        for file, layer in zip(files, layers, strict=True):
            if file != layer:
                self._unpack(name, file, layer)
        return layers

    def descriptor(self, name: str) -> Json:
        """The entry of index.json for an image; empty: it has none."""
        return self._named.get(name) or self._named.get(f"{name}:latest") or {}

    @contextmanager
    def sound(self, name: str) -> Iterator[None]:
        """What reads an image's documents fails in words, whatever is in them."""
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            what = f"{type(error).__name__}: {str(error)[:100]}"
            hint = "push the image again"
            raise AssembleError(f"{self._folder}: the documents of {name} are damaged ({what})", hint=hint) from error

    def _digests(self, name: str) -> list[str]:
        with self.sound(name):
            return [str(layer["digest"]) for layer in self._manifest(name)["layers"]]

    def _checked(self, digest: str) -> Path:
        """The blob of a layer, read once and compared with its name."""
        file = self._file(digest)
        try:
            if f"sha256:{digest_file(file).sha256}" == digest:
                return file
        except OSError as error:
            raise AssembleError(f"{self._folder}: blob {digest} is missing", hint="push the image again") from error
        raise AssembleError(f"{self._folder}: blob {digest} is damaged", hint="push the image again")

    def _unpack(self, name: str, file: Path, target: Path) -> None:
        try:
            size = unpack(file, target)
        except DAMAGE as error:
            raise AssembleError(f"{name}: a layer cannot be unpacked: {error}", hint="push the image again") from error
        if size > MAX_UNPACKED:
            raise AssembleError(f"{name}: a layer has more than {MAX_UNPACKED} bytes")

    def _image(self, name: str) -> Image:
        manifest = self._manifest(name)
        config = self.document(manifest["config"])
        layers = tuple(layer["digest"].removeprefix("sha256:") for layer in manifest["layers"])
        return Image(name, manifest["config"]["digest"].removeprefix("sha256:"), config.get("config") or {}, layers)

    def _manifest(self, name: str) -> Json:
        if not (entry := self.descriptor(name)):
            raise AssembleError(f"{self._folder} holds no image {name}", hint="push it there under exactly this name")
        document = self.document(entry)
        for _ in range(MAX_DEPTH):
            if "manifests" not in document:
                return document
            document = self.document(ours(document, name))
        raise AssembleError(f"{name}: indexes are nested too deep")

    def document(self, descriptor: Json) -> Json:
        """What a descriptor names, compared with its digest."""
        document: Json = json.loads(self._blob(descriptor["digest"]))
        return document

    def _file(self, digest: str) -> Path:
        """image-spec, Image Layout: blobs/ALGORITHM/HEX. Strangers make such folders: no name leads out, neither pipe
        nor device is read, which never end."""
        file = self._folder / "blobs" / digest.replace(":", "/")
        if not DIGEST.fullmatch(digest) or (file.exists() and not file.is_file()):
            raise AssembleError(f"{self._folder}: {digest[:80]!r} names no blob", hint="push the image again")
        return file

    def _blob(self, digest: str) -> bytes:
        try:
            if (size := self._file(digest).stat().st_size) > MAX_DOCUMENT:
                raise AssembleError(f"{self._folder}: blob {digest} has {size} bytes, too many for a document")
            data = self._file(digest).read_bytes()
        except OSError as error:
            raise AssembleError(f"{self._folder}: blob {digest} is missing", hint="push the image again") from error
        if f"sha256:{sha256(data)}" != digest:
            raise AssembleError(f"{self._folder}: blob {digest} is damaged", hint="push the image again")
        return data


def ours(index: Json, name: str) -> Json:
    """The entry of an index that is for our machines; of one that says no platforms, its only one."""
    entries = index["manifests"]
    if len(entries) == 1 and not entries[0].get("platform"):
        entry: Json = entries[0]
        return entry
    from gitops.oci.manifest import for_us  # with the HTTP of registries, which takes long to load

    try:
        digest = for_us(index, name)
    except RegistryError as error:
        raise AssembleError(error.message, hint="name an image for our machines") from error
    return {"digest": f"sha256:{digest}"}
