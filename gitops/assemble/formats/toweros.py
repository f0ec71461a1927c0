"""What the partition TOWEROS of a disk, or the folder /toweros of a medium, has of a release.

In: Contents, a store with the layers. Out: files: every layer with its hash tree behind it, as a box keeps it, and the
release document. Rules: a layer whose root is another than its name is not taken, whatever the store says.

    tree(folder / "toweros", store, contents)
"""

import shutil
from pathlib import Path

from gitops.assemble.formats.staging import Contents, folder_in, put
from gitops.errors import AssembleError
from gitops.model import Release, canonical
from gitops.store import Store
from gitops.store.files.verity import append_tree

FOLDERS = ("layers", "releases", "state", "tuf", "identity")


def tree(stage: Path, store: Store, contents: Contents) -> Path:
    """The tree of a new TOWEROS partition.

    Raises:
        AssembleError: a layer is missing or damaged.
    """
    for name in FOLDERS:
        folder_in(stage, name)
    put_release(stage, store, contents.release)
    put(stage / "identity" / "box.json", canonical({"box": contents.release.box}))
    put(stage / "identity" / "box.key", contents.box_key, 0o600)
    if contents.secrets:
        folder_in(stage, "secrets").chmod(0o700)
    for name, data in contents.secrets.items():
        put(stage / "secrets" / name, data, 0o600)
    for name, data in contents.tuf.items():
        put(stage / "tuf" / name, data)
    return stage


def put_release(stage: Path, store: Store, release: Release) -> None:
    """The layers and the document of a release.

    Raises:
        AssembleError: a layer is missing or damaged.
    """
    (stage / "layers").mkdir(parents=True, exist_ok=True)
    for layer in release.layers():
        if not store.layers.has(layer.root):
            raise AssembleError(f"layer {layer.root[:12]} is missing from the store", hint="run `toweros apply` again")
        target = stage / "layers" / layer.root
        shutil.copyfile(store.layers.path(layer.root), target)
        if append_tree(target) != layer.root:
            raise AssembleError(f"layer {layer.root[:12]} is damaged in the store", hint="delete it; it is made again")
    put(stage / "releases" / f"{release.digest}.json", release.encode())
