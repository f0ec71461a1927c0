"""Packages: LinuxKit's `pkg/NAME` folders, and the identity that decides whether one must be built.

In: a Tree. Out: a `Package` per folder that holds a build.yml. Rules: `folder` reads one, `lockfile` what goes into it;
`identity` gives each its key, after the keys of those that it stands on. Equal key means equal image.

    packages = load_packages(tree, recipe=1, platform="linux/amd64", problems=problems)
    packages["pkg/sshd"].key
"""

import posixpath

from gitops.errors import Problem
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.packages.dockerfile import SIBLING
from gitops.fleet.packages.folder import BUILD, Folder, read
from gitops.fleet.packages.identity import Keys
from gitops.model import Package, Tree

__all__ = ["SIBLING", "load_packages"]


def load_packages(tree: Tree, recipe: int, platform: str, problems: list[Problem]) -> dict[str, Package]:
    """Every package of a fleet repo, by path."""
    paths = sorted(posixpath.dirname(path) for path in tree.entries() if posixpath.basename(path) == BUILD)
    folders = {path: read(tree, path, problems) for path in paths if path}
    sound = {path: folder for path, folder in folders.items() if _siblings_exist(folder, paths, problems)}
    return Keys(sound, recipe, platform, problems).all()


def _siblings_exist(folder: Folder, paths: list[str], problems: list[Problem]) -> bool:
    missing = [sibling for sibling in folder.package.depends if sibling not in paths]
    problems += [folder.problem(f"there is no package `{each}`", did_you_mean(each, paths)) for each in missing]
    return folder.sound and not missing
