"""What kind of change a box gets, and its causes in words. Pure.

In: a box before and after, with their fleets. Out: (`Change`, causes), the gravest first: another kernel, initrd, boot
argument or assembler means another boot; then system containers; then user containers; then files and settings.

    classify(old, new)  ->  (Change.services, ("pkg/hello",))      # for a changed package below the service hello

Boxes of a role share one spec object and its apps: they are compared once, however many boxes have them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitops.model import KEYS, App, Box, Container, Fleet, Json, Spec
from gitops.plan import ASSEMBLER, PACKAGE
from gitops.review.nouns import Change

KERNEL = {"kernel": "kernel", "cmdline": "kernel arguments", "kernel_binary": "kernel", "kernel_tar": "kernel modules"}
KERNEL |= {"kernel_ucode": "microcode"}
SETTINGS = {name: key for name, key in KEYS.items() if key.word and name not in ("spec", "files", "apps")}
"""Members of a box that are compared as a whole."""
ORDER = (Change.kernel, Change.services, Change.containers, Change.config)
Causes = dict[Change, dict[str, None]]


class Classifier:
    """Compares boxes of two fleets; remembers what it found about what boxes share."""

    def __init__(self, old: Fleet, new: Fleet) -> None:
        self._old, self._new = old, new
        self._known: dict[tuple[int, ...], tuple[Box, Box, Causes]] = {}
        self._roots = _roots(old, new)

    def classify(self, old: Box, new: Box) -> tuple[Change, tuple[str, ...]]:
        """The gravest change, and every cause, gravest first."""
        causes = {change: dict(shared) for change, shared in self._shared(old, new).items()}
        for name in _settings(old, new):
            causes.setdefault(Change.config, {})[name] = None
        for change in ORDER:
            if change in causes:
                named = dict.fromkeys(name for each in ORDER for name in causes.get(each, ()))
                return change, tuple(named)
        return Change.unchanged, ()

    def _shared(self, old: Box, new: Box) -> Causes:
        """What differs in what boxes of a role share."""
        key = (id(old.spec), id(new.spec), id(old.apps), id(new.apps))
        if key not in self._known:
            causes: Causes = {}
            for change, name in (*self._compare(old.spec, new.spec), *self._compare_apps(old.apps, new.apps)):
                causes.setdefault(change, {})[name] = None
            self._known[key] = (old, new, causes)
        return self._known[key][2]

    def _compare(self, old: Spec, new: Spec) -> Iterator[tuple[Change, str]]:
        if self._old.policy.recipe != self._new.policy.recipe:
            yield Change.kernel, "recipe"
        for member, name in KERNEL.items():
            if getattr(old, member) != getattr(new, member):
                yield Change.kernel, name
        for image in (new.kernel, *(PACKAGE + path for path in ASSEMBLER)):
            yield from ((Change.kernel, cause) for cause in self._causes(image))
        for section in ("onboot", "onshutdown", "services"):
            for name in _containers(getattr(old, section), getattr(new, section)):
                yield Change.services, name
        if old.init != new.init or old.volumes != new.volumes:
            yield Change.services, "init" if old.init != new.init else "volumes"
        for image in new.images():
            yield from ((Change.services, cause) for cause in self._causes(image) if image != new.kernel)
        for path in _files(old.files, new.files):
            yield Change.config, path

    def _compare_apps(self, old: Iterable[App], new: Iterable[App]) -> Iterator[tuple[Change, str]]:
        before, after = {app.name: app for app in old}, {app.name: app for app in new}
        for name in sorted({*before, *after}):
            if name not in before or name not in after:
                yield Change.containers, f"{'app' if name in before else 'new app'} {name}"
            elif replace(before[name], files=()) != replace(after[name], files=()):
                yield Change.containers, f"app {name}"
            else:
                yield from ((Change.containers, path) for path in _files(before[name].files, after[name].files))
        for image in sorted({image for app in after.values() for image in app.images.values()}):
            yield from ((Change.containers, cause) for cause in self._causes(image))

    def _causes(self, image: str) -> tuple[str, ...]:
        return self._roots.get(image.removeprefix(PACKAGE), ()) if image.startswith(PACKAGE) else ()


def _roots(old: Fleet, new: Fleet) -> dict[str, tuple[str, ...]]:
    """Per package whose key changed: the packages that changed by themselves at the bottom of it."""
    changed = {path for path, package in new.packages.items() if _key(old, path) != package.key}
    roots: dict[str, tuple[str, ...]] = {}

    def visit(path: str) -> tuple[str, ...]:
        if path not in roots:
            below = [cause for sibling in new.packages[path].depends if sibling in changed for cause in visit(sibling)]
            before, now = old.packages.get(path), new.packages[path]
            own = before is None or (before.hashed, before.bases) != (now.hashed, now.bases) or not below
            roots[path] = tuple(dict.fromkeys([*([path] if own else []), *below]))
        return roots[path]

    for path in sorted(changed):
        visit(path)
    return roots


def _key(fleet: Fleet, path: str) -> str:
    return fleet.packages[path].key if path in fleet.packages else ""


def _containers(old: Iterable[Container], new: Iterable[Container]) -> Iterator[str]:
    before, after = {each.name: each for each in old}, {each.name: each for each in new}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{'new ' * (name not in before)}container {name}{' removed' * (name not in after)}"
    if [*before] != [*after] and {*before} == {*after}:
        yield "order of containers"


def _files(old: Iterable[Json], new: Iterable[Json]) -> Iterator[str]:
    before, after = _by_path(old), _by_path(new)
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield f"/{path}"


def _by_path(files: Iterable[Json]) -> Mapping[str, Any]:
    return {str(file["path"]).strip("/"): file for file in files}


def _settings(old: Box, new: Box) -> Iterator[str]:
    """What differs in a box's own words. Files that TowerOS writes of them are not named again."""
    changed = [key for name, key in SETTINGS.items() if getattr(old, name) != getattr(new, name)]
    yield from (key.word for key in changed)
    written = {f"/{key.writes}" for key in changed}
    if old.files != new.files:
        yield from (path for path in _files(old.files, new.files) if path not in written)
