"""`toweros image import`: images of any kind of place into the store, remembered by the digests that name them.

In: where they are: a folder (an OCI layout, LinuxKit's cache), a tar (of such a folder, or by `docker save`), `-` (such
a tar, on stdin), or `docker:NAME`; names, or all. Out: what was taken. Rules: whoever imports
is a person, who may call an image what they like: it may stand for any tag.

    import_images(elsewhere, store, "images.tar", ["web.example/ntp:4.2"]).images[0].digest
"""

import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from gitops.errors import AssembleError
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files.engine import save
from gitops.oci.files.places import opened
from gitops.oci.files.taking import Result, Taking
from gitops.oci.packed.checked import MAX_UNPACKED
from gitops.store import Store

ENGINE, STDIN = "docker:", "-"
CHUNK = 1 << 20


def import_images(
    elsewhere: Elsewhere, store: Store, source: str, names: Collection[str] = (), engine: str = ""
) -> Result:
    """Take images into the store. `engine` is the URL of the Docker engine that `docker:NAME` asks.

    Raises:
        AssembleError: these are no images, or none has such a name. RegistryError: the engine does not give it.
    """
    if source != STDIN and not source.startswith(ENGINE):
        return _import(elsewhere, store, Path(source), names)
    with tempfile.TemporaryDirectory(dir=store.paths.root, prefix=".engine-") as folder:
        archive = Path(folder, "image.tar")
        if source == STDIN:
            _arrive(sys.stdin.buffer, archive)
            try:
                return _import(elsewhere, store, archive, names)
            except AssembleError as error:
                raise AssembleError(error.message.replace(str(archive), "stdin"), hint=error.hint) from error
        save(engine, source.removeprefix(ENGINE), archive)
        return _import(elsewhere, store, archive, ())


def check_there(source: str) -> None:
    """A file or folder that is named must be there: before a state folder is made for nothing.

    Raises:
        AssembleError: it is not.
    """
    if source != STDIN and not source.startswith(ENGINE) and not Path(source).exists():
        raise AssembleError(f"{source}: there is no such file or folder", hint="an OCI layout, or a tar of images")


def _arrive(stream: BinaryIO, target: Path) -> None:
    size = 0
    with target.open("wb") as output:
        while chunk := stream.read(CHUNK):
            size += output.write(chunk)
            if size > MAX_UNPACKED:
                raise AssembleError(
                    f"there are more than {MAX_UNPACKED} bytes on stdin", hint="name a file or a folder"
                )


def _import(elsewhere: Elsewhere, store: Store, path: Path, names: Collection[str]) -> Result:
    with opened(path, store.paths.root) as place:
        result = Taking(store, place).take(names)
    for one in result.images:
        for digest in {one.digest, one.image.digest}:
            elsewhere.keep(digest, one.image)
    return result
