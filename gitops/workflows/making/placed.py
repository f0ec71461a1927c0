"""What a container's image has no place for, with the file and line that asks for it.

In: a box, the images that are built or pulled, the store with their layers, the fleet's files. Out: mistakes. Rules:
the setting's own line is named, that of the package's build.yml where its label says it, else the line that names the
image; an image whose layers are not here is not judged.

    Placed(tree, fleet, store).lacking([box])       # [Problem("boot/a.yml", 7, 0, "site-7: services.ntp: ..", "..")]
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

from gitops.assemble.root.mounted import Entries, Unmountable, UnmountableError, unmountable
from gitops.assemble.tars import entries_of
from gitops.errors import AssembleError, Problem
from gitops.fleet.documents.yaml import load
from gitops.fleet.origins import origins
from gitops.model import Box, Fleet, Image, Tree
from gitops.plan import PACKAGE
from gitops.review.commands import few
from gitops.store import Store

BUILD = "build.yml"


@dataclass(frozen=True)
class Placed:
    """Of one fleet."""

    tree: Tree
    fleet: Fleet
    store: Store

    def lacking(self, boxes: Iterable[Box]) -> list[Problem]:
        """What images that are built lack, each with its boxes."""
        images = {PACKAGE + path: self.store.builds.image(each.key) for path, each in self.fleet.packages.items()}
        built = {name: image for name, image in images.items() if image}
        trees, found = cache(lambda name: self._entries(built[name])), dict[Problem, list[str]]()
        looked = dict[object, list[Problem]]()
        for box in boxes:
            shape = (
                id(box.spec),
                tuple((file["path"], *map(file.get, ("directory", "symlink"))) for file in box.files),
            )
            if shape not in looked:
                looked[shape] = self._look(box, built, trees)
            for problem in looked[shape]:
                found.setdefault(problem, []).append(box.name)
        return [replace(each, message=f"{few(names)}: {each.message}") for each, names in found.items()]

    def _look(self, box: Box, built: Mapping[str, Image], trees: Callable[[str], Entries | None]) -> list[Problem]:
        known = _of_built(box, built)
        with suppress(AssembleError):  # an image that is damaged: whoever makes the release says so
            return [*self.problems(known, unmountable(known, built, trees))]
        return []

    def _entries(self, image: Image) -> Entries | None:
        tars = [self.store.blobs.path(diff_id) for diff_id in image.layers]
        with suppress(AssembleError):
            return entries_of(tars) if all(tar.is_file() for tar in tars) else None
        return None

    def problems(self, box: Box, found: Iterable[Unmountable]) -> Iterator[Problem]:
        """With their lines."""
        places = dict[str, str]()
        for each in found:
            places = places or origins(self.tree, box)
            file, _, line = self._place(box, each, places).rpartition(":")
            yield Problem(file, int(line), 0, f"{each.container}: {each.why}", each.fix)

    def _place(self, box: Box, each: Unmountable, places: Mapping[str, str]) -> str:
        package = self.fleet.packages.get(each.image.removeprefix(PACKAGE))
        if each.labelled and package and (file := f"{package.path}/{BUILD}") in self.tree.entries():
            document = load(self.tree.read(file), file, [])
            return f"{file}:{document.mark(('config', each.key), key=True)[0] if document else 1}"
        if asked := places.get(f"{each.container}.{each.key}"):
            return asked
        group, _, name = each.container.partition(".")
        row = places.get(each.container) or places.get(f"{each.container}.image") or f"roles/{box.role}.yaml:1"
        return self._of_row(row, (group, name), each.key)

    def _of_row(self, place: str, container: tuple[str, str], key: str) -> str:
        """The line of a key in a boot spec, of which the row of its container is known."""
        (group, name), file = container, place.rpartition(":")[0]
        document = load(self.tree.read(file), file, []) if file in self.tree.entries() else None
        rows = document.value.get(group) if document and isinstance(document.value, dict) else None
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            if document and isinstance(row, dict) and row.get("name") == name and key in row:
                return f"{file}:{document.mark((group, index, key), key=True)[0]}"
        return place

    def told(self, box: Box, error: UnmountableError) -> AssembleError:
        """The same error, with lines."""
        problems = [*dict.fromkeys(self.problems(box, error.found))]
        words = "; ".join(f"{each.file}:{each.line}: {each.message}" for each in problems)
        return AssembleError(words, hint=problems[0].hint)


def _of_built(box: Box, built: Mapping[str, Image]) -> Box:
    """The box with those of its containers whose images are here."""
    onboot, onshutdown, services = (
        tuple(each for each in group if each.image in built)
        for group in (box.spec.onboot, box.spec.onshutdown, box.spec.services)
    )
    return replace(box, spec=replace(box.spec, onboot=onboot, onshutdown=onshutdown, services=services))
