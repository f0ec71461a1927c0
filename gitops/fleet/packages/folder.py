"""One package's folder: build.yml (LinuxKit's docs/packages.md), the Dockerfile's bases, the locked inputs.

In: a Tree and the folder's path. Out: a `Folder` with all of the package but its key; mistakes as `Problem`s. Rules: an
image from outside is named by digest, or by a tag that images.lock pins, one of this repo by a build argument
(`@lkt:pkg:` and a relative path); what LinuxKit takes from elsewhere (network, images in the context) is refused,
for a build needs nothing but Git and what Git names by digest; other folders of this repo are taken (`extra-sources`).
"""

import hashlib
import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from gitops.errors import Problem
from gitops.fleet.documents import yaml
from gitops.fleet.documents.doubt import Doubt
from gitops.fleet.documents.explain import check
from gitops.fleet.documents.files import LINK, LINK_HINT, LINK_MESSAGE
from gitops.fleet.documents.partial import Part, nothing_of, partly
from gitops.fleet.documents.strict import Strict
from gitops.fleet.images.lockfile import HINT as PIN
from gitops.fleet.images.lockfile import TAG, doubtful, pins
from gitops.fleet.linuxkit.schema import Settings
from gitops.fleet.linuxkit.texts import Texts, settle
from gitops.fleet.packages.dockerfile import SIBLING, UNGIVEN, Dockerfile
from gitops.fleet.packages.lockfile import NO_LINE, parse_lock
from gitops.fleet.packages.reading.steps import TEXTS
from gitops.fleet.packages.tags.buildfile import ORG
from gitops.fleet.packages.tags.template import DEFAULT, HINT, TemplateError, fill
from gitops.fleet.packages.wanted import Source, parse_wanted
from gitops.model import LockedFile, Package, Tree

BUILD = "build.yml"
BEFORE = "toweros"
"""What an org was that nobody wrote, before it was LinuxKit's own: in keys it still is, so that nothing is built again
for a name."""
ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
FETCHED_FOLDER = "fetched"
"""Where a build finds files that were fetched by digest."""
OF_PACKAGES, OF_ROOTFS = ("debs", "wheels"), ("rootfs.tar", ".repository")
"""Where it finds Debian's and Python's packages; or a whole root, and what that is made of."""


class BuildFile(Strict):
    """LinuxKit's build.yml."""

    STAND_IN: ClassVar[dict[str, Any]] = {"image": "image"}

    image: str = Field(pattern="^[a-z0-9][a-z0-9._-]{0,62}(/[a-z0-9][a-z0-9._-]{0,62}){0,3}$")
    org: str = Field(default=ORG, pattern="^[a-z0-9][a-z0-9./:_-]{0,200}$")
    tag: str = DEFAULT
    dockerfile: Annotated[str, AfterValidator(lambda name: name.removeprefix("./"))] = "Dockerfile"
    arches: tuple[str, ...] = ("amd64",)
    gitrepo: str = ""
    network: bool = False
    extra_sources: tuple[str, ...] = Field(default=(), alias="extra-sources")
    depends: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    buildArgs: tuple[str, ...] = ()  # noqa: N815 - LinuxKit's own word
    labels: dict[str, str] = Field(default_factory=dict)
    disable_content_trust: bool = Field(default=False, alias="disable-content-trust")
    disable_cache: bool = Field(default=False, alias="disable-cache")


@dataclass(frozen=True)
class Folder:
    """A package whose key is still empty; the line of its `buildArgs`; whether its build.yml has no mistake."""

    package: Package
    line: int
    sound: bool = True

    def problem(self, message: str, hint: str) -> Problem:
        """A mistake in what it stands on."""
        return Problem(f"{self.package.path}/{BUILD}", self.line, 1, message, hint)


def read(tree: Tree, path: str, problems: list[Problem]) -> Folder:
    """One package. What stands beside a build.yml with mistakes is looked at all the same."""
    before, file = len(problems), f"{path}/{BUILD}"
    document = yaml.read(tree.read(file), file, problems, Texts)
    part = _checked(document, problems) if document else nothing_of(file, BuildFile)
    sound = len(problems) == before
    return replace(_Reader(tree, path, part, problems).folder(), sound=sound)


class _Reader:
    """Reads what stands beside a build.yml."""

    def __init__(self, tree: Tree, path: str, part: Part[BuildFile], problems: list[Problem]) -> None:
        self._tree, self._path, self._document, self._build = tree, path, part.document, part.content
        self._problems = problems
        self._lost = part.dropped
        lost = any(place[:1] in ((), ("<<",), ("buildArgs",)) for place in part.dropped)
        self._hidden = Doubt.of(tree.read(f"{path}/{BUILD}"), "buildArgs") if lost else None

    def folder(self) -> Folder:
        self._refuse()
        image = f"{self._build.org}/{self._build.image}"
        arguments, sources, digest = self._arguments(), self._sources(), self._hash()
        org = image if "org" in self._build.model_fields_set else f"{BEFORE}/{self._build.image}"
        bases, read = self._bases(dict(arguments))
        lock, rootfs, fetches = self._inputs()
        package = Package(
            path=self._path,
            image=image,
            tag=f"{image}:{self._tag(digest)}",
            key="",
            depends=tuple(dict.fromkeys(v.removeprefix(SIBLING) for _, v in arguments if v.startswith(SIBLING))),
            build_args=arguments,
            config=self._build.config,
            lock=lock,
            rootfs=rootfs,
            bases=bases,
            hashed=f"{org}:{digest}",
            dockerfile=self._build.dockerfile,
            sources=sources,
            starts=read.starts,
            moved=read.moved,
            copies=tuple(read.copies),
            barren=tuple(read.barren),
        )
        more = [*([FETCHED_FOLDER] if fetches else ()), *([TEXTS] if read.texts else ())]
        self._refuse_laid(package, {*(OF_ROOTFS if package.rootfs else OF_PACKAGES), *more})
        return Folder(package, self._document.mark(("buildArgs",))[0])

    def _refuse(self) -> None:
        build = self._build
        if build.network:
            self._note(("network",), "builds run without network", "lock what it needs: packages.in")
        if build.labels:
            self._note(("labels",), "labels are not applied", "write LABEL in the Dockerfile")
        if build.depends:
            hint = "name them by digest in a compose file or a boot spec, or COPY --from=IMAGE@sha256:..."
            self._note(("depends",), "images are not put into the context of a build", hint)

    def _arguments(self) -> tuple[tuple[str, str], ...]:
        """Build arguments; a sibling's path is made relative to the repository."""
        arguments = []
        for index, argument in enumerate(self._build.buildArgs):
            name, equals, value = argument.partition("=")
            if not equals or not re.fullmatch(r"\w+", name):
                self._hidden = Doubt.of(self._tree.read(f"{self._path}/{BUILD}"), "buildArgs")
                self._note(("buildArgs", index), f"`{argument}` is no build argument", "NAME=VALUE")
                continue
            if value.startswith(SIBLING):
                value = SIBLING + posixpath.normpath(posixpath.join(self._path, value.removeprefix(SIBLING)))
            arguments.append((name, value))
        return tuple(arguments)

    def _bases(self, arguments: dict[str, str]) -> tuple[tuple[str, ...], Dockerfile]:
        """Images from outside that the Dockerfile begins with or takes from, by digest; and what was read of it."""
        name = self._build.dockerfile
        file = f"{self._path}/{name}"
        if posixpath.normpath(f"/{name}") != f"/{name}" or "\\" in name:
            hint = "write a path in the folder, such as Dockerfile.small"
            self._note(("dockerfile",), f"`{name}` is no path in the package's folder", hint)
            return (), Dockerfile([])
        if file not in self._tree.entries():
            if not self._lost & {(), ("dockerfile",)}:
                message = f"there is no {name} beside it"
                self._problems.append(self._document.problem(("dockerfile",), message, f"write {file}"))
            return (), Dockerfile([])
        if self._tree.entries()[file].mode == LINK:
            # Builders follow it, and what it leads to would be built unread.
            self._problems.append(Problem(file, 1, 1, LINK_MESSAGE, LINK_HINT))
            return (), Dockerfile([])
        dockerfile, known = Dockerfile.parse(self._tree.read(file), arguments), pins(self._tree)
        for line, message, hint in dockerfile.mistakes:
            argument = re.search(r"`ARG (\w+)`", hint) if UNGIVEN in message else None
            if not (argument and self._hidden and self._hidden.may_hold(argument[1], arguments)):
                self._problems.append(Problem(file, line, 1, message, hint))
        for each in dockerfile.outside:
            if not each.pinned(known) and not doubtful(self._tree, each.image):
                pin = f"a tag is pinned by images.lock: {PIN}; or " if each.tag else ""
                hint = f"{pin}name it by digest: IMAGE@sha256:..., or build on a sibling package"
                message = f"{each.image} can mean another image tomorrow"
                self._problems.append(Problem(file, each.line, 1, message, hint))
        return tuple(image for each in dockerfile.outside if (image := each.pinned(known))), dockerfile

    def _refuse_laid(self, package: Package, laid: Collection[str]) -> None:
        """Where a build finds its locked files, nothing of Git's can be: no link that they would be written through."""
        found = {top: path for path, place in within(self._tree, package) if (top := place.partition("/")[0]) in laid}
        for top, path in found.items():
            message = f"`{top}` of a build is where its locked files go"
            self._problems.append(Problem(path, 1, 1, message, "rename this, or give it another destination"))

    def _inputs(self) -> tuple[tuple[LockedFile, ...], str, bool]:
        """What packages.lock names, the variant of a whole root, and whether files are fetched."""
        wanted, lock, entries = f"{self._path}/packages.in", f"{self._path}/packages.lock", self._tree.entries()
        if wanted not in entries:
            return (), "", False
        before = len(self._problems)
        asked = parse_wanted(self._tree.read(wanted), wanted, self._problems)
        sound = len(self._problems) == before
        for source in asked.sources:
            self._key(source, wanted, asked.line(source.name))
        if lock not in entries:
            hint = f"run `toweros lock {self._path}`"
            self._problems.append(Problem(wanted, 1, 1, "there is no packages.lock beside it", hint))
            return (), asked.rootfs, bool(asked.fetches)
        made: list[Problem] = []
        locked = parse_lock(self._tree.read(lock), lock, self._tree.read(wanted), made)
        self._problems += [each for each in made if sound or NO_LINE in each.message]
        return locked, asked.rootfs, bool(asked.fetches)

    def _key(self, source: Source, file: str, line: int) -> None:
        """An index must be signed by exactly this key, so it must be there."""
        there = source.key in self._tree.entries()
        if not there or not self._tree.read(source.key).lstrip().startswith(ARMOR):
            message = f"{source.key} is no armoured public key" if there else f"there is no {source.key}"
            hint = f"write the public key of source `{source.name}` there, as `gpg --armor --export` does"
            self._problems.append(Problem(file, line, 1, message, hint))

    def _tag(self, digest: str) -> str:
        """`tag:`, filled in; an image must be able to have it."""
        try:
            tag = fill(self._build.tag or DEFAULT, digest) or "latest"
        except TemplateError as error:
            self._note(("tag",), str(error), HINT)
            return digest
        if not re.fullmatch(TAG, tag):
            self._note(("tag",), f"`{tag}` is no tag of an image", "use letters, digits, `.`, `_` and `-`, 128 at most")
        return tag

    def _hash(self) -> str:
        """The hash in LinuxKit's tag: the folder's tree id; with extra-sources, SHA-1 over all the ids."""
        ids = [self._tree.tree_id(self._path)]
        for index, source in enumerate(self._build.extra_sources):
            folder = _beside(self._path, source)
            try:
                ids.append(self._tree.tree_id(folder))
            except KeyError:
                hint = "name a folder of this repo by its path from here"
                self._note(("extra-sources", index), f"there is no folder `{folder}` in this repo", hint)
        return ids[0] if len(ids) == 1 else hashlib.sha1("".join(ids).encode(), usedforsecurity=False).hexdigest()

    def _sources(self) -> tuple[tuple[str, str], ...]:
        """`extra-sources`: folders of this repo, and where the build has them."""
        sources, below = (
            [],
            {name.removeprefix(f"{self._path}/"): self._path for name in _under(self._tree, self._path)},
        )
        for index, source in enumerate(self._build.extra_sources):
            place = posixpath.normpath("/" + source.partition(":")[2].lstrip("/")).strip("/")
            if source.count(":") != 1:
                self._note(("extra-sources", index), f"`{source}` is no SOURCE:DESTINATION", "write ../folder:/path")
                continue
            folder = _beside(self._path, source)
            sources.append((folder, place))
            new = [_at(place, name, folder) for name in _under(self._tree, folder)]
            taken = [name for name in new if any(each in below for each in (name, *_parents(name)))]
            taken += [name for name in below if set(_parents(name)) & set(new)]
            if taken:
                message = f"`{taken[0]}` is already there, from {below.get(taken[0], folder)}"
                self._note(("extra-sources", index), message, "give it another destination")
            below |= dict.fromkeys(new, folder)
        return tuple(sources)

    def _note(self, place: yaml.Path, message: str, hint: str) -> None:
        self._problems.append(self._document.problem(place, message, hint))


def within(tree: Tree, package: Package) -> Iterator[tuple[str, str]]:
    """Every file that a build of the package sees: its path in the repo, and in the build."""
    for folder, place in ((package.path, ""), *package.sources):
        yield from ((name, _at(place, name, folder)) for name in _under(tree, folder))


def _checked(document: yaml.Document, problems: list[Problem]) -> Part[BuildFile]:
    """build.yml by its models. A key without a value is as good as none, as LinuxKit has it."""
    if isinstance(document.value, dict):
        document.value = {key: value for key, value in document.value.items() if value is not None}
        config = document.value.get("config")
        if isinstance(config, dict):
            part = document.part(("config",), config)
            settle(part, Settings, problems)
            check(part, Settings, problems)
        settle(document, BuildFile, problems)
    return partly(document, BuildFile, problems)


def _under(tree: Tree, folder: str) -> list[str]:
    return [path for path in tree.entries() if not folder or path.startswith(f"{folder}/")]


def _beside(path: str, source: str) -> str:
    """The folder that `../folder:/path` means, from the top of the repo; what leads out of it is no folder there."""
    folder = posixpath.normpath(posixpath.join(path, source.partition(":")[0]))
    return "" if folder == "." else folder


def _at(place: str, name: str, folder: str) -> str:
    inside = name.removeprefix(f"{folder}/") if folder else name
    return f"{place}/{inside}" if place else inside


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]
