"""Images by reference and digest: pulled, pushed, and made of a package's layers (image-spec 1.1).

In: a reference `[HOST/]REPOSITORY@sha256:DIGEST`, or a built `Image`; a store. Out: an `AppImage` whose layers are
blobs in the store. Rules: everything is asked for by digest; the indexes that lead to an image (`manifest`) are kept,
too, for the first of them is what names it; a package becomes an OCI image without time or history, so that equal
layers give equal digests.

    image = pull(store, registry, "osmocom/osmo-hlr", digest)
    push(store, registry, "osmocom/osmo-hlr", "1.0", oci_image(store, built))
"""

import json
from dataclasses import dataclass

from gitops.errors import AssembleError, RegistryError
from gitops.model import AppImage, BlobRef, Image, Json, canonical, sha256
from gitops.oci.manifest import Found, find, suits
from gitops.oci.registry import MANIFEST, Registry, hex_of
from gitops.store import Store

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MAX_IMAGE = 8 << 30
"""Bytes of all layers of an image, as they are sent."""


@dataclass(frozen=True)
class Reference:
    """`[HOST/]REPOSITORY[:TAG]@sha256:DIGEST`, taken apart."""

    host: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        name, _, digest = text.partition("@sha256:")
        first, _, rest = name.partition("/")
        host, path = (first, rest) if rest and ("." in first or ":" in first or first == "localhost") else ("", name)
        folder, _, last = path.rpartition("/")
        return cls(host, "/".join(filter(None, (folder, last.partition(":")[0]))), digest)


def repository_of(name: str) -> str:
    """A name without its registry, tag and digest; of a package, its folder's name."""
    if name.startswith("@pkg:"):
        return name.rpartition("/")[2]
    # Unlike in `Reference`, `localhost/` stays: releases that are out name their images so, and must stay as they are.
    host, _, rest = name.partition("@")[0].partition("/")
    path = rest if rest and ("." in host or ":" in host) else name.partition("@")[0]
    folder, _, last = path.rpartition("/")
    return "/".join(filter(None, (folder, last.partition(":")[0])))


def pull(store: Store, registry: Registry, repository: str, digest: str) -> AppImage:
    """An image by digest, with its blobs in the store.

    Raises:
        RegistryError: see `Registry`; or it is no image for linux/amd64, or too large.
    """
    found = _find(registry, repository, digest)
    fits(found.image, f"{registry.host}/{repository}@sha256:{digest}")
    for layer in found.image.layers:
        registry.fetch(store, repository, layer)
    for index in found.indexes:
        store.blobs.put(index)
    return found.image


def describe(registry: Registry, repository: str, digest: str) -> AppImage:
    """An image by digest, without its layers. Raises as `pull`; but it may be for other machines."""
    return _find(registry, repository, digest).image


def fits(image: AppImage, name: str) -> None:
    """Raises RegistryError, which is not transient: it is not for our machines, or too large."""
    suits(image, name)
    if (size := sum(layer.size for layer in image.layers)) > MAX_IMAGE:
        raise RegistryError(f"{name}: its layers have {size} bytes, more than {MAX_IMAGE}")


def inside(image: AppImage) -> Json:
    """What its config says of how it is run (image-spec 1.1, "config"); nothing where it says nothing that is."""
    try:
        said = json.loads(image.config)["config"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def layers_of(image: AppImage) -> tuple[str, ...]:
    """The digests of the layers as plain tars (diff ids), the lowest first; none where the config does not say them."""
    try:
        found = tuple(hex_of(str(each)) for each in json.loads(image.config)["rootfs"]["diff_ids"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return found if len(found) == len(image.layers) else ()


def _find(registry: Registry, repository: str, digest: str) -> Found:
    """The image, and the indexes that led to it."""

    def read(kind: str, digest: str) -> bytes:
        return registry.document(repository, f"{kind}/sha256:{digest}", digest)[0]

    return find(read, digest, f"{registry.host}/{repository}@sha256:{digest}")


def push(store: Store, registry: Registry, repository: str, tag: str, image: AppImage) -> bool:
    """Publish an image under a tag: blobs first, the manifest last. False: it was there already."""
    if registry.has(repository, f"manifests/sha256:{image.digest}") and registry.has(repository, f"manifests/{tag}"):
        return False
    # A registry may refuse a manifest whose blobs it lacks.
    for layer in image.layers:
        registry.put_blob(repository, layer.sha256, store.blobs.path(layer.sha256))
    registry.put_blob(repository, sha256(image.config), image.config)
    registry.put_manifest(repository, tag, image.manifest)
    return True


def oci_image(store: Store, image: Image) -> AppImage:
    """A package's image as an OCI image: uncompressed layers, whose digests are their diff ids."""
    layers = tuple(BlobRef(diff_id, _size(store, image, diff_id)) for diff_id in image.layers)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{ref.sha256}" for ref in layers]}
    config = canonical({"architecture": "amd64", "os": "linux", "config": image.config, "rootfs": rootfs})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, BlobRef(sha256(config), len(config))),
        "layers": [_descriptor(LAYER, ref) for ref in layers],
    }
    return AppImage(canonical(manifest), config, layers)


def _size(store: Store, image: Image, digest: str) -> int:
    if not store.blobs.has(digest):
        raise AssembleError(f"{image.reference}: layer {digest[:12]} is missing", hint="build it again")
    return store.blobs.path(digest).stat().st_size


def _descriptor(media_type: str, ref: BlobRef) -> Json:
    return {"mediaType": media_type, "digest": f"sha256:{ref.sha256}", "size": ref.size}
