"""Containers of a box whose image lacks a place for what is mounted into it. Pure.

In: a box, its images, and the tree of each as far as it is known. Out: per container and destination what is wrong and
the fix, with the key that asks for it. Rules: settings of a spec count before an image's label, as for runc; of the
box's own files, and of volumes, it is known whether they are folders; of other places of the box nobody knows.

    [*unmountable(box, images, trees.get)]      # [Unmountable("services.ntp", "binds", "@pkg:pkg/ntp", ..)]
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitops.assemble.root.places import KindOf, Lacking, lacking
from gitops.assemble.root.runtime_spec import settings_of
from gitops.assemble.root.tree import configs
from gitops.assemble.tars.tree import Entry
from gitops.errors import AssembleError
from gitops.model import Box, Image, Json

Entries = Mapping[str, Entry]
BINDS, OTHERS = ("binds", "binds.add"), ("tmpfs", "mounts")


@dataclass(frozen=True)
class Unmountable:
    """`container`: as `origins` names it; `key`: the setting that asks for it; `labelled`: it is the image's
    label's."""

    container: str
    key: str
    image: str
    why: str
    fix: str
    labelled: bool = False


class UnmountableError(AssembleError):
    """Containers of a box would not start; `found` has all that is wrong."""

    def __init__(self, found: Sequence[Unmountable]) -> None:
        super().__init__("; ".join(f"{each.container}: {each.why}" for each in found), hint=found[0].fix)
        self.found = tuple(found)


def unmountable(
    box: Box, images: Mapping[str, Image], tree_of: Callable[[str], Entries | None]
) -> Iterator[Unmountable]:
    """`tree_of`: an image -> its tree; None: it is not known.

    Raises:
        AssembleError: an image is missing, or says something that cannot be carried out.
    """
    kind_of = _kinds(box)
    for group, container, config in configs(box.spec, images):
        entries = tree_of(container.image)
        for each in lacking(config, entries, kind_of) if entries is not None else ():
            settings = settings_of(container, images[container.image].config)
            key = _key(settings, each)
            own = container.settings.get(key) not in (None, "")
            name = f"{group}.{container.name}"
            yield Unmountable(name, key, container.image, each.why, each.fix, key in settings and not own)


def _kinds(box: Box) -> KindOf:
    """Whether a path of the box is a folder, as its own files tell."""
    kinds = dict[str, bool]()
    for file in (*box.spec.files, *box.files):
        path = "/" + file["path"].strip("/")
        if not file.get("symlink"):
            kinds[path] = bool(file.get("directory"))
        while (path := posixpath.dirname(path)) != "/":
            kinds[path] = True
    volumes = {f"/containers/volumes/{volume['name']}/merged": True for volume in box.spec.volumes}
    known = kinds | volumes
    return lambda path: known.get(posixpath.normpath(path))


def _key(settings: Json, each: Lacking) -> str:
    """The setting that names a destination; `readonly`: LinuxKit's own mounts have it."""
    for key in reversed(BINDS):
        if any(each.destination == text.split(":")[1] for text in settings.get(key) or () if ":" in text):
            return key
    for key in OTHERS:
        rows = settings.get(key) or ()
        if any(each.destination == (row.get("destination") if key == "mounts" else row.split(":")[0]) for row in rows):
            return key
    if any(each.destination == device["path"] for device in settings.get("devices") or ()):
        return "devices"
    return "cwd" if each.destination == settings.get("cwd") else "readonly"


def check_places(box: Box, images: Mapping[str, Image], tree_of: Callable[[str], Entries | None]) -> None:
    """Raises UnmountableError: runc would not start a container of the box."""
    if found := tuple(unmountable(box, images, tree_of)):
        raise UnmountableError(found)
