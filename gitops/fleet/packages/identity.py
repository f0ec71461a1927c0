"""The key of a package: what `linuxkit pkg show-tag` prints, extended over what LinuxKit forgets.

In: the folders. Out: packages with their keys. Rules: a key covers the hash in the tag (the folder's tree id, and with
it the inputs that packages.lock names), base images by digest, sibling packages by their own keys, build
arguments, platform and recipe; so a change of a base changes the key of all that stand on it.
"""

from collections.abc import Mapping
from dataclasses import replace

from gitops.errors import Problem
from gitops.fleet.packages.dockerfile import SIBLING
from gitops.fleet.packages.folder import Folder
from gitops.model import Package, canonical, sha256


class Keys:
    """Keys, each after those that it stands on."""

    def __init__(self, folders: Mapping[str, Folder], recipe: int, platform: str, problems: list[Problem]) -> None:
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
            self._problems.append(folder.problem(f"packages build on each other: {circle}", "cut it"))
            return ""
        self._open.append(path)
        arguments = [[name, self._argument(value)] for name, value in folder.package.build_args]
        self._open.pop()
        identity = {
            **self._fixed,
            "tag": folder.package.hashed,
            "bases": list(folder.package.bases),
            "arguments": arguments,
        }
        key = sha256(canonical(identity))
        self._done[path] = replace(folder.package, key=key)
        return key

    def _argument(self, value: str) -> str:
        return self._resolve(value.removeprefix(SIBLING)) if value.startswith(SIBLING) else value
