"""What a revision changes, and why: Fleet + what exists -> Plan. Pure.

A package must be built when something needs it and no image has its key. A box must be made again when its `box_key`,
the hash of all that its release is made from, is another than that of its last release. Rules: only packages that a
box names, the assembler's own three, and what those to be built stand on, are built; bases come first; every line says
why; a fleet without boxes needs nothing.

    changes = plan(fleet, revision, Existing(images, boxes, packages))
    changes.builds[0]       # Step("pkg/hello", Action.BUILD, "its folder, its base image or the recipe changed")
"""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from gitops.model import KEYS, Action, Box, Existing, Fleet, Network, Package, Plan, Revision, Step, sha256

PACKAGE = "@pkg:"
ASSEMBLER = ("pkg/initrd", "pkg/bootloader", "pkg/toolbox")
"""Packages that go into every release, or make it, though no spec names them."""
NEW, GONE, CHANGED = "new", "its image is no longer in the store", "its folder, its base image or the recipe changed"
LOST = "files of its release are no longer in the store"
OUTRUN = "it runs a newer release than it was offered here"

INPUTS = {name: key.word for name, key in KEYS.items() if key.word}
"""Members of a box that reach its image, and their words: the rest (role, site, labels, holds) says where and when."""
SETTINGS = f"its {', '.join(INPUTS.values())} or the recipe changed"


def plan(fleet: Fleet, revision: Revision, existing: Existing) -> Plan:
    """Compare a fleet with what exists."""
    keys = box_keys(fleet)
    return Plan(
        revision=revision,
        builds=tuple(_build_step(fleet.packages, path, existing) for path in to_build(fleet, existing)),
        boxes=tuple(
            _box_step(fleet, fleet.boxes[name], existing)
            for name, key in sorted(keys.items())
            if existing.boxes.get(name) != key or name in existing.outrun
        ),
        removed=tuple(
            Step(name, Action.REMOVE, "Git no longer has it") for name in sorted({*existing.boxes} - {*keys})
        ),
        box_keys=keys,
    )


def box_key(fleet: Fleet, box: Box) -> str:
    """The identity of everything that a box's release is made from, its sequence aside."""
    return _Keys(fleet).of(box)


@functools.lru_cache(maxsize=2)
def box_keys(fleet: Fleet) -> Mapping[str, str]:
    """The key of every box, by name; worked out once, as a controller asks at each poll."""
    keys = _Keys(fleet)
    return {name: keys.of(box) for name, box in fleet.boxes.items()}


class _Keys:
    """Keys of one fleet's boxes: SHA-256 of canonical JSON. What boxes share is put into words once, by object."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._words: dict[object, tuple[object, str]] = {}
        self._packages: dict[tuple[int, int], tuple[Box, str]] = {}

    def of(self, box: Box) -> str:
        values = ((name, getattr(box, name)) for name in INPUTS)
        parts = {name: self._word(value) for name, value in values if value is not None}
        parts |= {"name": _canonical(box.name), "recipe": _canonical(self._fleet.policy.recipe)}
        parts |= {"packages": self._needed(box)}
        return sha256(("{" + ",".join(f'"{name}":{parts[name]}' for name in sorted(parts)) + "}").encode())

    def _word(self, value: object) -> str:
        key = value if isinstance(value, Network) else id(value)
        if key not in self._words:
            self._words[key] = (value, _canonical(value))
        return self._words[key][1]

    def _needed(self, box: Box) -> str:
        shared = (id(box.spec), id(box.apps))
        if shared not in self._packages:
            keys = {path: self._fleet.packages[path].key for path in needed(self._fleet, box)}
            self._packages[shared] = (box, _canonical(keys))
        return self._packages[shared][1]


def _canonical(value: object) -> str:
    """As `model.canonical`, with dataclasses as objects."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=asdict)


def needed(fleet: Fleet, box: Box) -> tuple[str, ...]:
    """The packages that a box's release is made from, sorted: those its spec and apps name, and the assembler's."""
    images = (*box.spec.images(), *(image for app in box.apps for image in app.images.values()))
    named = (image.removeprefix(PACKAGE) for image in images if image.startswith(PACKAGE))
    return tuple(sorted({path for path in (*named, *ASSEMBLER) if path in fleet.packages}))


def to_build(fleet: Fleet, existing: Existing) -> list[str]:
    """The packages that a fleet's boxes need and that have no image, each after those that it stands on."""
    order: dict[str, None] = {}

    def visit(path: str) -> None:
        package = fleet.packages[path]
        if path in order or package.key in existing.images:
            return
        for sibling in package.depends:
            visit(sibling)
        order[path] = None

    alike = {(id(box.spec), id(box.apps)): box for box in fleet.boxes.values()}
    for path in sorted({path for box in alike.values() for path in needed(fleet, box)}):
        visit(path)
    return list(order)


def _build_step(packages: Mapping[str, Package], path: str, existing: Existing) -> Step:
    before = existing.packages.get(path)
    if before is None:
        return Step(path, Action.BUILD, NEW)
    if before == packages[path].key:
        return Step(path, Action.BUILD, GONE)
    return Step(path, Action.BUILD, _because(_chain(packages, path, existing)) or CHANGED)


def _chain(packages: Mapping[str, Package], path: str, existing: Existing) -> list[str]:
    """The way down from a package to the one whose own change it inherits; empty when that is itself."""
    for sibling in packages[path].depends:
        if _changed(packages, sibling, existing):
            return [sibling, *_chain(packages, sibling, existing)]
    return []


def _because(chain: list[str]) -> str:
    return f"stands on {', which stands on '.join(chain)}, which changed" if chain else ""


def _changed(packages: Mapping[str, Package], path: str, existing: Existing) -> bool:
    return existing.packages.get(path) != packages[path].key


def _box_step(fleet: Fleet, box: Box, existing: Existing) -> Step:
    if box.name not in existing.boxes:
        return Step(box.name, Action.CREATE, NEW)
    if not existing.boxes[box.name]:
        return Step(box.name, Action.UPDATE, LOST)
    if box.name in existing.outrun:
        return Step(box.name, Action.UPDATE, OUTRUN)
    causes = _join(dict.fromkeys(_causes(fleet, box, existing)))
    return Step(box.name, Action.UPDATE, f"{causes} changed" if causes else SETTINGS)


def _causes(fleet: Fleet, box: Box, existing: Existing) -> Iterator[str]:
    """The packages that changed by themselves below what a box names."""
    for path in needed(fleet, box):
        if _changed(fleet.packages, path, existing):
            yield [path, *_chain(fleet.packages, path, existing)][-1]


def _join(names: Iterable[str]) -> str:
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
