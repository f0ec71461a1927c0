"""The key of a package: what `linuxkit pkg show-tag` prints, extended over what LinuxKit forgets.

In: the folders. Out: packages with their keys. Rules: a key covers the hash in the tag (the folder's tree id, and with
it the inputs that packages.lock names), base images by digest, sibling packages by their own keys, build
arguments, platform and recipe; so a change of a base changes the key of all that stand on it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gitops.errors import Problem
from gitops.fleet.packages.dockerfile import SIBLING
from gitops.fleet.packages.folder import Folder
from gitops.model import Package, canonical, sha256

MAX_DEPTH = 100
"""Packages that stand one on another: each is built after the one below it."""
STEPS = 2
"""How steps are written for builders that need it (a shell of their own, caches). Packages without any have no such
number in their keys: only what was built otherwise before is built again."""
SHOWN = 3
"""Packages of a long chain that a message names."""


class Keys:
    """Keys, each after those that it stands on."""

    def __init__(self, folders: Mapping[str, Folder], recipe: int, platform: str, problems: list[Problem]) -> None:
        self._folders, self._problems = folders, problems
        self._fixed = {"recipe": recipe, "platform": platform}
        self._done: dict[str, Package] = {}
        self._depth: dict[str, int] = {}

    def all(self) -> dict[str, Package]:
        for path in self._folders:
            if path not in self._done:
                self._resolve(path)
        return self._done

    def _resolve(self, path: str) -> None:
        """Go down to what stands on nothing, and up again. No function calls itself: a chain may be long."""
        waiting = {path: self._below(path)}
        while waiting:
            top = next(reversed(waiting))
            sibling = next(waiting[top], None)
            if sibling is None:
                del waiting[top]
                self._finish(top)
            elif sibling in waiting:
                self._note_circle([*waiting], sibling)
            elif sibling not in self._done:
                waiting[sibling] = self._below(sibling)

    def _below(self, path: str) -> Iterator[str]:
        return (each for each in self._folders[path].package.depends if each in self._folders)

    def _finish(self, path: str) -> None:
        """Give a package its key; those that it stands on have theirs, or none because of a mistake."""
        folder = self._folders[path]
        arguments = [[name, self._argument(value)] for name, value in folder.package.build_args]
        identity = {
            **self._fixed,
            "tag": folder.package.hashed,
            "bases": list(folder.package.bases),
            "arguments": arguments,
        }
        if folder.package.moved:
            identity["steps"] = STEPS
        self._done[path] = replace(folder.package, key=sha256(canonical(identity)))
        self._depth[path] = 1 + max((self._depth.get(each, 0) for each in self._below(path)), default=0)
        if self._depth[path] == MAX_DEPTH + 1:
            below = " -> ".join(self._chain(path))
            message = f"stands on {MAX_DEPTH} packages, one on another: {below} -> ..."
            self._problems.append(
                folder.problem(message, f"at most {MAX_DEPTH} in a chain: make one package of several")
            )

    def _chain(self, path: str) -> Iterator[str]:
        """The first packages of the longest way down."""
        for _ in range(SHOWN):
            yield path
            path = max(self._below(path), key=lambda each: self._depth.get(each, 0))

    def _note_circle(self, waiting: list[str], path: str) -> None:
        shown = [*waiting[waiting.index(path) :], path]
        shown = shown if len(shown) <= MAX_DEPTH else [*shown[:SHOWN], "...", path]
        message = f"packages build on each other: {' -> '.join(shown)}"
        self._problems.append(self._folders[path].problem(message, "cut it"))

    def _argument(self, value: str) -> str:
        if not value.startswith(SIBLING):
            return value
        below = self._done.get(value.removeprefix(SIBLING))
        return below.key if below else ""
