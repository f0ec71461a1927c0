"""Boxes whose releases would have more layers in one mount than their initrd can mount. Pure.

In: the fleet and its tree; the layers of images that are known already. Out: what has how many, with the file and line
that names it. Rules: an image that nobody has seen counts as the chain of its package's bases, one layer each, and one
from elsewhere as nothing: the assembler counts again (`assemble.fits`). Boxes with one boot spec are counted once.

    Mounts(tree, fleet, {"@pkg:pkg/app": layers}).crowded(box)      # [Problem("boot/a.yml", 7, 0, "a: ..")]
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gitops.assemble.fits import LAYERS_FILE, most_layers, too_many
from gitops.errors import AssembleError, Problem
from gitops.fleet.origins import origins
from gitops.model import Box, Fleet, Spec, Tree
from gitops.plan import PACKAGE
from gitops.review.sizes import INITRD, bases

SAID = f"{INITRD}/{LAYERS_FILE.rpartition('/')[2]}"
"""The file of the package that becomes `LAYERS_FILE` of its image."""
OWN = ("kernel", "tree", "files")
"""What the root has beside the layers of init: the kernel's modules, the spec's tree, the box's own files."""


class Mounts:
    """The mounts of one fleet's boxes. `known`: image, as specs name it -> its layers."""

    def __init__(self, tree: Tree, fleet: Fleet, known: Mapping[str, Sequence[str]] | None = None) -> None:
        self._tree, self._fleet, self._known = tree, fleet, known or {}
        self._bases = bases(tree, fleet.packages)
        self._counted: dict[int, tuple[Spec, list[Problem]]] = {}

    def crowded(self, box: Box) -> list[Problem]:
        """What its initrd cannot mount."""
        if id(box.spec) not in self._counted:
            self._counted[id(box.spec)] = (box.spec, [*self._look(box)])
        return self._counted[id(box.spec)][1]

    def _look(self, box: Box) -> Iterator[Problem]:
        try:
            most = most_layers(self._tree.read(SAID) if SAID in self._tree.entries() else None)
        except AssembleError as error:
            yield Problem(SAID, 1, 0, error.message, error.hint)
            return
        places: Mapping[str, str] = {}
        for name, count in self._mounts(box.spec):
            if count > most:
                places = places or origins(self._tree, box)
                file, _, line = _place(places, name, box).rpartition(":")
                yield Problem(file, int(line), 0, *too_many(f"{box.name}: {name}", count, most))

    def _mounts(self, spec: Spec) -> Iterator[tuple[str, int]]:
        """Name as `origins` has it, layers."""
        yield "init", len({*OWN, *(layer for name in spec.init for layer in self._layers(name))})
        for group in ("onboot", "onshutdown", "services"):
            for container in getattr(spec, group):
                yield f"{group}.{container.name}", len(self._layers(container.image))

    def _layers(self, image: str) -> Sequence[str]:
        return self._known.get(image) or [*self._chain(image.removeprefix(PACKAGE))]

    def _chain(self, path: str) -> Iterator[str]:
        seen = set[str]()
        while path in self._fleet.packages and path not in seen:
            seen.add(path)
            yield path
            path = self._bases.get(path, "")


def _place(places: Mapping[str, str], name: str, box: Box) -> str:
    """Where it is named: the image itself where a file gives it alone, else the container."""
    return places.get(f"{name}.image") or places.get(name) or f"roles/{box.role}.yaml:1"


def words(problems: Iterable[Problem]) -> str:
    """On one line."""
    return "; ".join(f"{each.file}:{each.line}: {each.message}" for each in problems)
