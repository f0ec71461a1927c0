"""What boot specs, or compose files, may hold, when a mistake keeps us from knowing which of them count.

in_doubt(tree, "boot").may_hold("sshd", ())        # whether any boot spec mentions it
"""

import posixpath
from collections.abc import Collection, Iterator

from gitops.fleet.cache import CachedTree
from gitops.fleet.documents.budget import may_hint
from gitops.fleet.documents.doubt import Doubt
from gitops.model import Tree

COMPOSE = "docker-compose.yml"
SPECS = "boot/"
"""Where `toweros init` puts boot specs: a role may name others."""
READ = 1000
"""What it costs to look for a name in a file, in comparisons of letters (`budget`)."""
_OTHER = ("", "roles", "boxes")
_WORDS = {"boot": ("services", "onboot", "init", "kernel", "files"), "compose": ("services",)}
"""Of which a file that can be looked through has one."""


def in_doubt(tree: Tree, key: str) -> Doubt:
    """The words of all files that a level may name below `key`."""
    kept = tree if isinstance(tree, CachedTree) else CachedTree(tree)
    if key not in kept.doubts:
        found = Doubt(frozenset(map(posixpath.basename, app_folders(tree))) if key == "compose" else frozenset())
        for path in app_files(tree) if key == "compose" else _yaml_files(tree):
            words = Doubt.of(tree.read(path), *_WORDS[key])
            found |= words if path.startswith(SPECS) else Doubt(words.words)
        kept.doubts[key] = found
    return kept.doubts[key]


def in_unread_specs(tree: Tree, sure: Collection[str], name: str) -> bool:
    """Whether a boot spec may hold a name, but for those that were read; also when that takes too long to say."""
    paths = [path for path in spec_files(tree) if path not in sure]
    if not may_hint(READ * len(paths)):
        return True
    found = Doubt()
    for path in paths:
        found |= Doubt.of(tree.read(path), *_WORDS["boot"])
    return found.may_hold(name, ())


def app_files(tree: Tree) -> Iterator[str]:
    """Every compose file."""
    return (path for path in tree.entries() if path.endswith(f"/{COMPOSE}"))


def app_folders(tree: Tree) -> list[str]:
    """Every app, whether it is named or not."""
    return [posixpath.dirname(path) for path in app_files(tree)]


def spec_files(tree: Tree) -> list[str]:
    """Every boot spec in its usual place; what stands beside a compose file is none."""
    apps = tuple(f"{folder}/" for folder in app_folders(tree))
    return [path for path in _yaml_files(tree) if path.startswith(SPECS) and not path.startswith(apps)]


def _yaml_files(tree: Tree) -> Iterator[str]:
    for path in tree.entries():
        folder, _, name = path.rpartition("/")
        if name.endswith((".yml", ".yaml")) and name not in (COMPOSE, "build.yml") and folder not in _OTHER:
            yield path
