"""The layers of an image, compared with what its config says of them.

In: an image whose layers are in the store. Out: nothing, or an error. Rules: those of `unpacked`; nothing is written.

    check_layers(store, image)
"""

import hashlib
from pathlib import Path

from gitops.errors import ProcessError, RegistryError
from gitops.model import AppImage
from gitops.oci.image import layers_of
from gitops.oci.packed.unpacked import CHUNK, DAMAGE, unpacked
from gitops.store import Store

MAX_UNPACKED = 16 << 30
"""Bytes of all layers of an image as plain tars."""


def check_layers(store: Store, image: AppImage, limit: int = MAX_UNPACKED) -> None:
    """Raises RegistryError: the layers are more than `limit` bytes, are not what the config says, or unreadable."""
    said = layers_of(image)
    if len(said) != len(image.layers):
        raise RegistryError("its config does not say what its layers are")
    left = limit
    for layer, diff_id in zip(image.layers, said, strict=True):
        try:
            found, size = _digest(store.blobs.path(layer.sha256), left)
        except DAMAGE as error:
            raise RegistryError(f"its layer {layer.sha256[:12]} cannot be unpacked: {error}") from error
        except ProcessError as error:
            message = f"its layer {layer.sha256[:12]} cannot be unpacked: {error.message}"
            raise RegistryError(message, hint=error.hint) from error
        if size > left:
            raise RegistryError(f"its layers have more than {limit} bytes when they are unpacked")
        if found != diff_id:
            raise RegistryError(f"its layer {layer.sha256[:12]} is not what its config says: {found[:12]}")
        left -= size


def _digest(file: Path, limit: int) -> tuple[str, int]:
    """Of what is inside, no more than a piece beyond the limit."""
    digest, size = hashlib.sha256(), 0
    with unpacked(file) as stream:
        while size <= limit and (chunk := stream.read(CHUNK)):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
