"""Packages: LinuxKit's `pkg/NAME` folders, and the identity that decides whether one must be built.

In: a Tree. Out: a `Package` per folder that holds a build.yml. Rules: `tag` is what `linuxkit pkg show-tag` prints.
`key` extends it over what LinuxKit forgets: base images by digest, sibling packages by their own keys, build arguments,
platform and recipe; so a change of base changes the key of all that stand on it. Equal key means equal image. (The
inputs named in packages.lock lie in the folder: its tree id covers them.)

    packages = load_packages(tree, recipe=1, platform="linux/amd64", problems=problems)
    packages["pkg/sshd"].key
"""

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from gitops.errors import Problem
from gitops.fleet import yaml
from gitops.fleet.explain import check, did_you_mean
from gitops.fleet.lockfile import parse_lock, parse_wanted
from gitops.fleet.schema import Strict
from gitops.model import LockedFile, Package, Tree, canonical, sha256

BUILD = "build.yml"
SIBLING = "@lkt:pkg:"
_FROM = re.compile(r"^\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_ARG = re.compile(r"^\s*ARG\s+(\w+)", re.IGNORECASE)
_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")


class BuildFile(Strict):
    """LinuxKit's build.yml (docs/packages.md there)."""

    image: str = Field(pattern="^[a-z0-9][a-z0-9._-]{0,62}$")
    org: str = Field(default="toweros", pattern="^[a-z0-9][a-z0-9./:_-]{0,200}$")
    arches: tuple[str, ...] = ("amd64",)
    gitrepo: str = ""
    network: bool = False
    extra_sources: tuple[str, ...] = Field(default=(), alias="extra-sources")
    config: dict[str, Any] = Field(default_factory=dict)
    buildArgs: tuple[str, ...] = ()  # noqa: N815 - LinuxKit's own word
    labels: dict[str, str] = Field(default_factory=dict)
    disable_content_trust: bool = Field(default=False, alias="disable-content-trust")
    disable_cache: bool = Field(default=False, alias="disable-cache")


@dataclass(frozen=True)
class _Folder:
    """A package before its key is known."""

    package: Package
    bases: tuple[str, ...]
    line: int


def load_packages(tree: Tree, recipe: int, platform: str, problems: list[Problem]) -> dict[str, Package]:
    """Every package of a fleet repo, by path."""
    paths = sorted(posixpath.dirname(path) for path in tree.entries() if posixpath.basename(path) == BUILD)
    folders = {path: folder for path in paths if path and (folder := _folder(tree, path, problems))}
    sound = {path: folder for path, folder in folders.items() if _siblings_known(path, folder, paths, problems)}
    return _Keys(sound, recipe, platform, problems).all()


def _folder(tree: Tree, path: str, problems: list[Problem]) -> _Folder | None:
    document = yaml.load(tree.read(f"{path}/{BUILD}"), f"{path}/{BUILD}", problems)
    said = check(document, BuildFile, problems) if document else None
    if document is None or said is None:
        return None
    if said.network:
        problems.append(document.problem(("network",), "builds run without network", "lock what it needs: packages.in"))
    if said.labels:
        problems.append(document.problem(("labels",), "labels are not applied", "write LABEL in the Dockerfile"))
    if said.extra_sources:
        hint = "move the files into the package's folder, or make a sibling package and COPY --from it"
        problems.append(document.problem(("extra-sources",), "files from outside the folder are not taken", hint))
    arguments = _arguments(path, document, said, problems)
    bases = _bases(tree, path, {name for name, _ in arguments}, problems)
    lock, rootfs = _inputs(tree, path, problems)
    package = Package(
        path=path,
        image=f"{said.org}/{said.image}",
        tag=f"{said.org}/{said.image}:{_tag(tree, path, document, said, problems)}",
        key="",
        depends=tuple(dict.fromkeys(v.removeprefix(SIBLING) for _, v in arguments if v.startswith(SIBLING))),
        build_args=arguments,
        config=said.config,
        lock=lock,
        rootfs=rootfs,
    )
    return _Folder(package, bases, document.mark(("buildArgs",))[0])


def _arguments(
    path: str, document: yaml.Document, said: BuildFile, problems: list[Problem]
) -> tuple[tuple[str, str], ...]:
    """Build arguments; a sibling's path is made relative to the repository."""
    found = []
    for index, argument in enumerate(said.buildArgs):
        name, equals, value = argument.partition("=")
        if not equals or not re.fullmatch(r"\w+", name):
            problems.append(document.problem(("buildArgs", index), f"`{argument}` is no build argument", "NAME=VALUE"))
            continue
        if value.startswith(SIBLING):
            value = SIBLING + posixpath.normpath(posixpath.join(path, value.removeprefix(SIBLING)))
        found.append((name, value))
    return tuple(found)


def _bases(tree: Tree, path: str, arguments: set[str], problems: list[Problem]) -> tuple[str, ...]:
    """Images from outside that the Dockerfile begins with: by digest only."""
    file = f"{path}/Dockerfile"
    if file not in tree.entries():
        problems.append(Problem(f"{path}/{BUILD}", 1, 1, "there is no Dockerfile beside it", f"write {file}"))
        return ()
    stages, declared, bases = {"scratch"}, set(), []
    for number, line in enumerate(tree.read(file).decode(errors="replace").splitlines(), 1):
        if argument := _ARG.match(line):
            declared.add(argument[1])
        if not (found := _FROM.match(line)):
            continue
        image, stage = found[1], found[2]
        variable = re.fullmatch(r"\$\{?(\w+)\}?", image)
        if variable and variable[1] not in arguments & declared:
            hint = f"add `ARG {variable[1]}`, and `{variable[1]}={SIBLING}../NAME` to buildArgs in build.yml"
            problems.append(Problem(file, number, 1, f"{image} is not given by a build argument", hint))
        elif not variable and image not in stages:
            if not _DIGEST.fullmatch(image):
                hint = "name it by digest: IMAGE@sha256:..., or build on a sibling package"
                problems.append(Problem(file, number, 1, f"{image} can mean another image tomorrow", hint))
            bases.append(image)
        stages |= {stage} if stage else set()
    return tuple(bases)


def _inputs(tree: Tree, path: str, problems: list[Problem]) -> tuple[tuple[LockedFile, ...], str]:
    wanted, lock = f"{path}/packages.in", f"{path}/packages.lock"
    if wanted not in tree.entries():
        return (), ""
    asked = parse_wanted(tree.read(wanted), wanted, problems)
    if lock not in tree.entries():
        problems.append(Problem(wanted, 1, 1, "there is no packages.lock beside it", f"run `toweros lock {path}`"))
        return (), asked.rootfs
    return parse_lock(tree.read(lock), lock, tree.read(wanted), problems), asked.rootfs


def _tag(tree: Tree, path: str, document: yaml.Document, said: BuildFile, problems: list[Problem]) -> str:
    """The hash in LinuxKit's tag: the folder's tree id; with extra-sources, SHA-1 over the ids one after another."""
    ids = [tree.tree_id(path)]
    for index, source in enumerate(said.extra_sources):
        folder = posixpath.normpath(posixpath.join(path, source.partition(":")[0]))
        try:
            ids.append(tree.tree_id(folder))
        except KeyError:
            problems.append(document.problem(("extra-sources", index), f"there is no `{folder}`", "fix the path"))
    return ids[0] if len(ids) == 1 else hashlib.sha1("".join(ids).encode(), usedforsecurity=False).hexdigest()


def _siblings_known(path: str, folder: _Folder, paths: list[str], problems: list[Problem]) -> bool:
    unknown = [sibling for sibling in folder.package.depends if sibling not in paths]
    for sibling in unknown:
        hint = did_you_mean(sibling, paths)
        problems.append(Problem(f"{path}/{BUILD}", folder.line, 1, f"there is no package `{sibling}`", hint))
    return not unknown


class _Keys:
    """Keys, each after those that it stands on."""

    def __init__(self, folders: Mapping[str, _Folder], recipe: int, platform: str, problems: list[Problem]) -> None:
        self._folders, self._problems = folders, problems
        self._fixed = {"recipe": recipe, "platform": platform}
        self._done: dict[str, Package] = {}
        self._open: list[str] = []

    def all(self) -> dict[str, Package]:
        for path in self._folders:
            self._resolve(path)
        return self._done

    def _resolve(self, path: str) -> str:
        """The key of a package; empty when it cannot have one, which is then among the problems."""
        if path in self._done:
            return self._done[path].key
        if path not in self._folders:
            return ""
        folder = self._folders[path]
        if path in self._open:
            circle = " -> ".join([*self._open[self._open.index(path) :], path])
            problem = Problem(f"{path}/{BUILD}", folder.line, 1, f"packages build on each other: {circle}", "cut it")
            self._problems.append(problem)
            return ""
        self._open.append(path)
        arguments = [[name, self._argument(value)] for name, value in folder.package.build_args]
        self._open.pop()
        identity = {**self._fixed, "tag": folder.package.tag, "bases": list(folder.bases), "arguments": arguments}
        key = sha256(canonical(identity))
        self._done[path] = replace(folder.package, key=key)
        return key

    def _argument(self, value: str) -> str:
        return self._resolve(value.removeprefix(SIBLING)) if value.startswith(SIBLING) else value
