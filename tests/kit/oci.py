"""Images for tests, put together by hand: tars in a store, as a builder leaves them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from gitops.model import Image, Json, sha256
from gitops.store import Store

File = bytes | str | Path
"""A file's bytes; a symlink's target; or a file of this machine, copied with its mode."""


def tar(files: Mapping[str, File], mode: int = 0o755) -> bytes:
    """A tar of files: bytes become regular files, `str` symlinks, a path ending in `/` a folder."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode = mode
            data = content.read_bytes() if isinstance(content, Path) else content
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data if isinstance(data, bytes) else b""))
    return output.getvalue()


def image(store: Store, name: str, *layers: Mapping[str, File], config: Json | None = None) -> Image:
    """An image of these layers, lowest first, in the store."""
    ids = tuple(store.blobs.put(tar(layer)).sha256 for layer in layers)
    made = Image(name, sha256("".join((name, *ids)).encode()), config or {}, ids)
    store.builds.save_image(made)
    return made
