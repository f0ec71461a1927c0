"""A fleet repo that validates, plans and builds at once.

In: an empty folder. Out: a Git repository with one commit. The template, `boot/` and `pkg/` of this TowerOS are copied
byte for byte, modes and links kept. Their tree ids stand in `.toweros/vendored.json`; `.toweros/KIND.schema.json` are
for editors.

    commit = make(Path("fleet"))
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pygit2

from gitops import __version__
from gitops.errors import TowerosError
from gitops.fleet.schema import KINDS, json_schema
from gitops.model import Tree
from gitops.source.clone.trees import configure
from gitops.source.objects.bounds import LINK, PROGRAM
from gitops.source.shipped import home

FORMAT = 1
"""Of `RECORD`."""
VENDORED = ("boot", "pkg")
TEMPLATE = "fleet-repo-template"
RECORD = "vendored.json"
"""In `.toweros/`: which version `boot/` and `pkg/` came from, and their tree ids."""
NOBODY = ("TowerOS", "toweros@localhost")


def make(folder: Path, branch: str = "main") -> str:
    """Make a fleet repo, and return its first commit.

    Raises:
        TowerosError: the folder is not empty, or this installation is not whole.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TowerosError(f"{folder} is not empty", hint="name a new folder; nothing was changed")
    trees = {name: home.tree(name) for name in (TEMPLATE, *VENDORED)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, tree in trees.items():
        copy(tree, folder if name == TEMPLATE else folder / name)
    _write_records(folder, {name: trees[name].tree_id("") for name in VENDORED})
    return _commit(folder, branch)


def copy(tree: Tree, folder: Path) -> None:
    """Write every file of a tree below a folder, as Git would check it out."""
    for entry in tree.entries().values():
        place = folder / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == LINK:
            place.symlink_to(os.fsdecode(tree.read(entry.path)))
        else:
            place.write_bytes(tree.read(entry.path))
            place.chmod(0o755 if entry.mode == PROGRAM else 0o644)


def record(version: str, trees: Mapping[str, str]) -> bytes:
    """The bytes of `RECORD`."""
    return json.dumps({"format": FORMAT, "version": version, "trees": trees}, indent=2).encode() + b"\n"


def editor_files() -> dict[str, bytes]:
    """JSON Schemas by their names in `.toweros/`."""
    return {f"{kind}.schema.json": json.dumps(json_schema(kind), indent=2).encode() + b"\n" for kind in KINDS}


def _write_records(folder: Path, trees: Mapping[str, str]) -> None:
    place = folder / ".toweros"
    place.mkdir(exist_ok=True)
    for name, data in {RECORD: record(__version__, trees), **editor_files()}.items():
        (place / name).write_bytes(data)


def _commit(folder: Path, branch: str) -> str:
    author = _author()
    configure()
    repository = pygit2.init_repository(str(folder), initial_head=branch)
    repository.index.add_all()
    repository.index.write()
    who = pygit2.Signature(*author, int(time.time()), 0)
    tree = repository.index.write_tree()
    return str(repository.create_commit("HEAD", who, who, "A fleet of TowerOS boxes\n", tree, []))


def _author() -> tuple[str, str]:
    """Who Git says that we are; a name of no person when it does not know."""
    try:
        config = pygit2.Config(str(Path.home() / ".gitconfig"))
        return str(config["user.name"]), str(config["user.email"])
    except (KeyError, OSError, pygit2.GitError):
        return os.environ.get("GIT_AUTHOR_NAME", NOBODY[0]), os.environ.get("GIT_AUTHOR_EMAIL", NOBODY[1])
