"""Images that a plan needs and that cannot be had, or lack the signature that the policy wants, told before a merge.

In: a fleet with its files, the settings, the store where there is one. Out: a sentence for each, with its boxes; or
a mistake, with the line that names it. Rules: boot specs, apps, and what Dockerfiles of the boxes' packages stand on;
what is in the store is asked of nobody; of the others, the registry is asked for manifest, config and signatures, and
no layer; a registry that is away is asked once; there is an end to it, in images and seconds. Of a stranger's fleet,
only the repositories are asked that the fleet before it names, too: he chooses no host, and learns of no other
repository what our password opens. Nothing is kept. What an image that is there says of a command is looked at, too:
nothing starts a container without one.

    missing(fleet, tree, settings, store)      # ("site-7: web.example/ntp@sha256:... cannot be had: ...",)
"""

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gitops.errors import Problem, RegistryError, readable
from gitops.fleet.images.lockfile import pins
from gitops.fleet.images.tracked import tracked
from gitops.model import Box, Fleet, Json, Tree
from gitops.oci.away import Away
from gitops.oci.image import Reference, describe, fits, inside, repository_of
from gitops.oci.manifest import for_all
from gitops.oci.trust import Trust, place, place_of, pull_question, tag_question, whose
from gitops.oci.within import within
from gitops.plan import needed
from gitops.review.commands import Commands, few, told
from gitops.settings import Settings
from gitops.workflows.images.places import places

if TYPE_CHECKING:
    from gitops.model import AppImage
    from gitops.store import Store

ANSWER = 30
"""Seconds for one image."""
ASK = "is the name right, and the registry the one that the settings name? `toweros plan` asks in the same way"


@dataclass(frozen=True)
class Bounds:
    """Of one look. `seconds`: for all images; `most`: images that are asked about; `only`: repositories that are asked,
    None: all."""

    seconds: float = 120
    most: int = 100
    only: Collection[str] | None = None

    @classmethod
    def of_stranger(cls, base: Fleet | None) -> "Bounds":
        """What a pull request may ask: of what the fleet names that it goes to."""
        return cls(20, 20, {_repository(name) for name in _wanted(base)} if base else ())


def missing(
    fleet: Fleet, tree: Tree, settings: Settings, store: "Store | None", bounds: Bounds = Bounds()
) -> tuple[str, ...]:
    """What is wrong with the images that no package makes, and which container has no command in any image."""
    by_tag, pulled = _signed_by_tag(tree), _pulled(fleet)
    trust = Trust.of(tree) if by_tag or pulled else Trust({})
    look = _Look(settings, store, bounds, by_tag, pulled, trust)
    wanted = _wanted(fleet)
    sentences = tuple(f"{few(wanted[name])}: {what}" if name else what for name, what, _ in look.at(wanted))
    return (*sentences, *told(Commands(tree, fleet, look.seen.get, alone=True).lacking()))


def mistakes(fleet: Fleet, tree: Tree, settings: Settings, bounds: Bounds = Bounds(600, 1000)) -> list[Problem]:
    """The same, asked of registries alone, as mistakes with file and line.

    Raises:
        FleetError: fleet.yaml cannot be read.
    """
    look = _Look(settings, None, bounds, _signed_by_tag(tree), _pulled(fleet), Trust.of(tree))
    where, found = places(tree, fleet), list[Problem]()
    unused = {name: list[str]() for package in fleet.packages.values() for name in package.bases}
    for name, what, hint in look.at(unused | _wanted(fleet)):
        found.append(replace(where.get(name, Problem("fleet.yaml", 1, 0, "")), message=what, hint=hint or ASK))
    return [*found, *Commands(tree, fleet, look.seen.get, alone=True).lacking()]


def _wanted(fleet: Fleet) -> dict[str, list[str]]:
    """Image -> the boxes that need it."""
    wanted: dict[str, list[str]] = {}
    for box in fleet.boxes.values():
        for name in dict.fromkeys((*box.images_of_others(), *_bases(fleet, box))):
            wanted.setdefault(name, []).append(box.name)
    return wanted


def _bases(fleet: Fleet, box: Box) -> Iterator[str]:
    """What the Dockerfiles of its packages stand on."""
    todo, seen = [*needed(fleet, box)], set[str]()
    while todo:
        path = todo.pop()
        if path not in seen and path in fleet.packages:
            seen.add(path)
            yield from sorted(fleet.packages[path].bases)
            todo += fleet.packages[path].depends


def _repository(name: str) -> str:
    reference = Reference.parse(name)
    return f"{reference.host}/{reference.repository}"


def _signed_by_tag(tree: Tree) -> dict[str, str]:
    """Images that are named by a tag -> their names without it."""
    known = pins(tree)
    return {f"{one.reference}@{one.digest(known)}": one.name for one in tracked(tree)}


def _pulled(fleet: Fleet) -> set[str]:
    """Those that Docker is to pull itself."""
    apps = (app for box in fleet.boxes.values() for app in box.apps if app.pull == "registry")
    return {name for app in apps for name in app.images.values()}


@dataclass(frozen=True)
class _Look:
    """One look. `by_tag`, `pulled`: the images that the policy may want signed; `seen`: the configs of those there."""

    settings: Settings
    store: "Store | None"
    bounds: Bounds
    by_tag: dict[str, str]
    pulled: set[str]
    trust: Trust
    seen: dict[str, Json] = field(default_factory=dict)

    def at(self, wanted: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
        """Each that is not as it should be, why, and the fix; what is about no image has no name."""
        away, until = Away(), time.monotonic() + self.bounds.seconds
        self.seen.update({name: inside(image) for name in wanted if (image := self._here(name))})
        strange = [name for name in sorted(wanted) if not self._may_ask(name)]
        asked = [name for name in sorted(wanted) if name not in strange and not self._settled(name)]
        for name in asked[: self.bounds.most]:
            host = self.settings.registry or Reference.parse(name).host
            if time.monotonic() > until:
                yield "", f"not every image was asked for: the others took {self.bounds.seconds:g} seconds", ""
                break
            try:
                away.check(host)
                within(ANSWER, lambda name=name: self._ask(name), name)  # type: ignore[misc]
            except Exception as caught:  # what breaks our code is that image's alone
                error = readable(caught)
                away.heard(host, error)
                yield name, f"{name} cannot be had: {error.message}", error.hint
        if more := len(asked) - self.bounds.most:
            yield from [("", f"{more} more images were not asked for", "")] if more > 0 else []
        for name in strange[: self.bounds.most]:
            says = "`toweros plan` in a clone says whether it can be had, and is signed where that is asked for"
            yield name, f"{name} is of a repository that nothing here names yet: {says}", ""

    def _may_ask(self, name: str) -> bool:
        return self.bounds.only is None or _repository(name) in self.bounds.only or bool(self._here(name))

    def _settled(self, name: str) -> bool:
        """It is here, and its signature was checked where it needs one."""
        image = self._here(name)
        return bool(image) and all(self._checked(question) for question in self._questions(name, image))

    def _questions(self, name: str, image: "AppImage | None") -> list[str]:
        """The checks of signatures that it needs, as the store remembers them."""
        registry, keys, found = self.settings.registry, self.trust.keys, list[str]()
        digest = image.digest if image else ""
        if name in self.by_tag and self.trust.asks(self.by_tag[name]):
            found.append(tag_question(registry, name, digest, keys))
        if name in self.pulled:
            found.append(pull_question(registry, digest, keys))
        return found

    def _checked(self, question: str) -> bool:
        from gitops.store.notes.documents import CheckedSignature  # with the store, this takes long to load

        return bool(self.store and self.store.notes.get(CheckedSignature, question))

    def _here(self, name: str) -> "AppImage | None":
        if self.store is None:
            return None
        from gitops.oci.elsewhere import stored

        return stored(self.store, Reference.parse(name).digest)

    def _ask(self, name: str) -> None:
        """Raises RegistryError: it cannot be had, is for other machines, or lacks a signature."""
        digest, (registry, repository) = Reference.parse(name).digest, place_of(self.settings, name)
        image = self._here(name)
        if image is None:
            image = describe(registry, repository, digest)
            fits(image, name)
        if name in self.by_tag:
            for_all(image, name)
        self.seen[name] = inside(image)
        if name in self.by_tag and self.trust.asks(self.by_tag[name]):
            whose(registry, repository, (digest, image.digest), self.trust.keys)
        if name in self.pulled:
            if not self.settings.registry:
                raise RegistryError("a service with `pull: registry` has it, and no registry is named")
            registry, repository = place(self.settings, self.settings.registry, repository_of(name))
            whose(registry, repository, (image.digest,), self.trust.keys)
