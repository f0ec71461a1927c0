"""Images out of files into the store: an OCI layout, LinuxKit's cache (which is one), what `docker save` writes.

In: a place, names or none. Out: what was taken, each under the digest that names it; why others were not. Rules: every
blob is what its digest says; of an index, the image for our machines; an archive in Docker's own format says no digest,
so it gets the one of the manifest that we write for it, always the same for the same image.

    with opened(Path("images.tar"), scratch) as place:
        taken = Taking(store, place).take(["web.example/ntp:4.2"])
    taken.images[0].digest, taken.problems
"""

import json
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gitops.errors import AssembleError, RegistryError
from gitops.model import AppImage, BlobRef, Json, canonical, sha256
from gitops.oci.files.places import HINT, Place, read
from gitops.oci.image import CONFIG, LAYER, MAX_IMAGE, fits
from gitops.oci.manifest import MAX_LAYERS, UNKNOWN, Found, digest_of, find, suits
from gitops.oci.packed.checked import check_layers
from gitops.oci.packed.unpacked import MAX_UNPACKED
from gitops.oci.plain import config_inside
from gitops.oci.registry import MANIFEST, MAX_DOCUMENT, hex_of
from gitops.store import Store

INDEX, DOCKER = "index.json", "manifest.json"
NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""Annotations with an image's name: containerd's (and Docker's) has all of it, the other may be a tag alone."""
MAX_IMAGES = 10_000
CHUNK = 1 << 20
SHOWN = 20
AGAIN = "copy the image again"

Get = Callable[[], Found]


@dataclass(frozen=True)
class Taken:
    """One image. `digest` is the one that names it: its index's, if it has one."""

    name: str
    digest: str
    image: AppImage


@dataclass
class Result:
    """What was taken. `problems`: name -> why it was not."""

    images: list[Taken] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


class Taking:
    """Takes from one place into one store."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store, self._place = store, place

    def take(self, names: Collection[str] = ()) -> Result:
        """All images that have one of these names, or every image.

        Raises:
            AssembleError: these are no images, or none has such a name.
        """
        result, seen = Result(), list[str]()
        missing = set(names)
        for its, get in self._images():
            seen.append(its[0])
            if names and not missing & set(its):
                continue
            name = next((each for each in its if each in missing), its[0])
            missing -= set(its)
            try:
                found = get()
                result.images.append(Taken(name, digest_of(found), self._kept(found, name)))
            except (AssembleError, RegistryError) as error:
                result.problems[name] = error.message
        if not seen:
            raise AssembleError(f"{self._place.name} holds no image", hint=HINT)
        if missing:
            there = ", ".join(seen[:SHOWN]) or "nothing"
            raise AssembleError(f"{self._place.name} has no {', '.join(sorted(missing))}", hint=f"there is {there}")
        return result

    def _images(self) -> Iterator[tuple[tuple[str, ...], Get]]:
        """The names of one after the other, and how to look at each."""
        if (index := self._document(INDEX)) is not None:
            for entry in _members(index, "manifests", self._place.name):
                yield from self._of_entry(entry)
        elif (listed := self._document(DOCKER)) is not None:
            for one in _objects(listed, f"{self._place.name}: {DOCKER}"):
                tags = one.get("RepoTags")
                names = tuple(map(str, tags)) if isinstance(tags, list) and tags else (str(one.get("Config")),)
                yield names, partial(self._of_docker, one, names[0])
        else:
            raise AssembleError(f"{self._place.name} has neither {INDEX} nor {DOCKER}: these are no images", hint=HINT)

    def _of_entry(self, entry: Json) -> Iterator[tuple[tuple[str, ...], Get]]:
        """One of an index.json; attestations beside images are none."""
        said, platform = _object(entry.get("annotations")), _object(entry.get("platform"))
        if (platform.get("os"), platform.get("architecture")) == UNKNOWN:
            return
        digest = str(entry.get("digest"))
        names = (*(str(said[key]) for key in NAMES if said.get(key)), digest)
        yield names, partial(self._of_digest, digest, entry.get("size"), names[0])

    def _of_digest(self, digest: str, size: object, name: str) -> Found:
        try:
            if size is not None and size != (has := len(self._blob("", hex_of(digest)))):
                raise AssembleError(f"{name} has {has} bytes, and {INDEX} says otherwise", hint=AGAIN)
            return find(self._blob, hex_of(digest), name)
        except ValueError as error:
            raise AssembleError(f"{name}: {error}") from error

    def _of_docker(self, one: Json, name: str) -> Found:
        """An image of `docker save`: a config, and layers in files."""
        listed = one.get("Layers")
        if not isinstance(listed, list):
            raise AssembleError(f"{name} lists no layers", hint=AGAIN)
        config = self._read(str(one.get("Config")))
        layers = tuple(self._layers(listed, name))
        rows = [{"mediaType": LAYER, "digest": f"sha256:{ref.sha256}", "size": ref.size} for ref in layers]
        about = {"mediaType": CONFIG, "digest": f"sha256:{sha256(config)}", "size": len(config)}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": about, "layers": rows}
        image = AppImage(canonical(manifest), config, layers)
        suits(image, name)
        return Found(image)

    def _layers(self, listed: list[Any], name: str) -> Iterator[BlobRef]:
        """Files of layers; one that is named twice is read once."""
        if len(listed) > MAX_LAYERS:
            raise AssembleError(f"{name} has {len(listed)} layers, more than {MAX_LAYERS}")
        known, left = dict[str, BlobRef](), MAX_IMAGE
        for path in map(str, listed):
            if path not in known:
                known[path] = self._file(path, left)
                left -= known[path].size
            yield known[path]

    def _kept(self, found: Found, name: str) -> AppImage:
        """With all of its blobs in the store, and each layer what the config says: a person is there to hear it."""
        fits(found.image, name)
        for layer in found.image.layers:
            if self._store.blobs.has(layer.sha256):
                continue
            if self._file(f"blobs/sha256/{layer.sha256}", layer.size) != layer:
                raise AssembleError(f"{self._place.name}: blob sha256:{layer.sha256} is damaged", hint=AGAIN)
        config_inside(name, found.image)
        check_layers(self._store, found.image, MAX_UNPACKED)
        for index in found.indexes:
            self._store.blobs.put(index)
        return found.image

    def _document(self, path: str) -> Any:
        """A JSON document; None: there is no such file."""
        try:
            return json.loads(read(self._place, path, MAX_DOCUMENT))
        except KeyError:
            return None
        except (ValueError, RecursionError) as error:
            raise AssembleError(f"{self._place.name}: {path} is no JSON", hint=HINT) from error

    def _blob(self, _kind: str, digest: str) -> bytes:
        """image-spec 1.1, Image Layout: blobs/ALGORITHM/HEX."""
        data = self._read(f"blobs/sha256/{digest}")
        if sha256(data) != digest:
            raise AssembleError(f"{self._place.name}: blob sha256:{digest} is damaged", hint=AGAIN)
        return data

    def _read(self, path: str) -> bytes:
        try:
            return read(self._place, path, MAX_DOCUMENT)
        except KeyError as error:
            raise AssembleError(f"{self._place.name}: {path} is missing", hint=AGAIN) from error

    def _file(self, path: str, limit: int) -> BlobRef:
        """A file as a blob of the store. A sparse one is small here, and large there: no more than `limit` bytes."""
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".import-") as folder:
            new = Path(folder, "file")
            try:
                with self._place.open(path) as stream, new.open("wb") as output:
                    while chunk := stream.read(CHUNK):
                        output.write(chunk)
                        if output.tell() > limit:
                            raise AssembleError(f"{self._place.name}: {path} has more than {limit} bytes", hint=AGAIN)
            except KeyError as error:
                raise AssembleError(f"{self._place.name}: {path} is missing", hint=AGAIN) from error
            except tarfile.TarError as error:
                raise AssembleError(f"{self._place.name}: {path} cannot be read: {error}", hint=AGAIN) from error
            return self._store.blobs.put_file(new, move=True)


def _members(document: Any, key: str, name: str) -> list[Json]:
    return _objects(document.get(key) if isinstance(document, dict) else None, f"{name}: {key}")


def _objects(value: Any, name: str) -> list[Json]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise AssembleError(f"{name} does not list images", hint=HINT)
    if len(value) > MAX_IMAGES:
        raise AssembleError(f"{name} lists more than {MAX_IMAGES} images")
    return value


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
