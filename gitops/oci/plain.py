"""An image of others as an image of ours: its layers become plain tars in the store, named by their diff ids.

In: an `AppImage` whose layers are in the store. Out: an `Image`, as the builders leave one. Rules: a layer is unpacked
once, no further than the bound, and is what the image's config says of it, byte by byte; compression (gzip of many
members, zstd of many frames and zstd:chunked, bzip2, xz, none) is seen by the first bytes, as engines see it; what the
config says to a container engine is taken when it has the types of the image spec.

    image = unpacked_image(store, "web.example/ntp@sha256:...", found)
    image.layers            # diff ids, the lowest first
"""

import hashlib
import json

from pydantic import BaseModel, ConfigDict, ValidationError

from gitops.errors import RegistryError
from gitops.model import AppImage, Image, Json, sha256
from gitops.oci.image import layers_of
from gitops.oci.packed.unpacked import DAMAGE, MAX_UNPACKED, unpack
from gitops.store import Store
from gitops.store.files.blobs import arriving


class _Config(BaseModel):
    """`config` of an image's config (image-spec 1.1, "config.md"), as far as a box uses it."""

    model_config = ConfigDict(strict=True, extra="allow")

    User: str | None = None
    Env: list[str] | None = None
    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    WorkingDir: str | None = None
    Labels: dict[str, str] | None = None


def unpacked_image(store: Store, name: str, image: AppImage, limit: int = MAX_UNPACKED) -> Image:
    """The image, with its plain layers in the store. `name` is for messages, and becomes its reference.

    Raises:
        RegistryError: a layer is not what the config says, is damaged, or has more than `limit` bytes with those below
        it; or the config says what nobody can read.
    """
    config, diff_ids = config_inside(name, image), layers_of(image)
    if len(diff_ids) != len(image.layers):
        raise RegistryError(f"{name}: its config does not say what its layers are")
    left = limit
    for layer, diff_id in zip(image.layers, diff_ids, strict=True):
        if not store.blobs.has(diff_id):
            _unpack(store, f"{name}: its layer {layer.sha256[:12]}", layer.sha256, diff_id, left)
        left -= store.blobs.path(diff_id).stat().st_size
        if left < 0:
            raise RegistryError(f"{name}: its layers have more than {limit} bytes when they are unpacked")
    return Image(name, sha256(image.config), config, diff_ids)


def config_inside(name: str, image: AppImage) -> Json:
    """What an image says to a container engine. Raises RegistryError: that is nothing that one can read."""
    inside = json.loads(image.config).get("config") or {}
    try:
        _Config.model_validate(inside)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "config"
        raise RegistryError(f"{name}: {place} of its config: {error.errors()[0]['msg']}") from error
    config: Json = inside
    return config


def _unpack(store: Store, what: str, digest: str, diff_id: str, limit: int) -> None:
    """One layer, under the name that the config gives it."""
    with arriving(store.blobs.path(diff_id)) as new:
        try:
            hashed = hashlib.sha256()
            size = unpack(store.blobs.path(digest), new, limit, hashed)
        except DAMAGE as error:
            raise RegistryError(f"{what} cannot be unpacked: {error}") from error
        if size > limit:
            raise RegistryError(f"{what} has more than {limit} bytes when it is unpacked")
        if (found := hashed.hexdigest()) != diff_id:
            raise RegistryError(f"{what} is not what its config says: {found[:12]}, not {diff_id[:12]}")
