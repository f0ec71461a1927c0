"""Where each value of a box comes from, for people who ask.

In: the tree, and a box as `load_fleet` made it. Out: dotted name -> `FILE:LINE`. Rules: the last level that says
something is named (fleet, role, box); what no file says has no entry, for it is a default or made by TowerOS. Keys need
no word here: a mapping is named by its keys, a list of rows by what names a row, anything else by its key. The levels'
files are read again, so that a plan of many boxes need not remember where things stand.

    origins(tree, box)["services.sshd.env"]      # -> "boxes/demo-1.yaml:4"
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from gitops.errors import Problem
from gitops.fleet.documents import yaml
from gitops.fleet.linuxkit.spec import GROUPS
from gitops.model import Box, Tree

ROW_NAMES = ("name", "path", "app")
"""What names a row of a list: of containers and checks, of files, of apps."""
RENAMED = {"kernel.image": "kernel", "kernel.cmdline": "cmdline"}
"""Names of a LinuxKit file that are others in a box."""
IN_PARTS = ("spec", "health", "files", "apps")
"""Members of a box that are named part by part."""


def origins(tree: Tree, box: Box) -> dict[str, str]:
    """Dotted name -> `FILE:LINE`, in the order of the files: boot specs, fleet.yaml, the role, the box."""
    role = _document(tree, f"roles/{box.role}.yaml")
    levels = (_document(tree, "fleet.yaml"), role, _document(tree, f"boxes/{box.name}.yaml"))
    boot = (_document(tree, path) for path in role.value.get("boot", ()))
    places = {RENAMED.get(name, name): place for document in boot for name, place in _places(document)}
    for document in levels:
        places |= {_in_box(name, box): place for name, place in _places(document)}
    present = _present(box)
    return {name: place for name, place in places.items() if name in present or name.rpartition(".")[0] in present}


def _document(tree: Tree, path: str) -> yaml.Document:
    problems: list[Problem] = []
    document = yaml.load(tree.read(path), path, problems) if path in tree.entries() else None
    return document if document and isinstance(document.value, dict) else yaml.Document(path, {})


def _places(document: yaml.Document) -> Iterator[tuple[str, str]]:
    """Every value of a file, by dotted name."""
    for name, path in _names(document.value, ()):
        yield name, f"{document.file}:{document.mark(path, key=True)[0]}"


def _names(value: Any, path: yaml.Path) -> Iterator[tuple[str, yaml.Path]]:
    """Names of what is below a mapping, three deep, and where it stands."""
    for key, item in value.items():
        place = (*path, key)
        name = ".".join(map(str, place))
        rows = item if isinstance(item, list) and item and all(isinstance(row, dict) for row in item) else []
        if isinstance(item, dict) and len(place) < 3:
            yield from _names(item, place)
        elif rows:
            yield from ((f"{name}.{_row_name(row)}", (*place, index)) for index, row in enumerate(rows))
        else:
            yield name, place


def _row_name(row: dict[str, Any]) -> str:
    return next((str(row[key]).strip("/") for key in ROW_NAMES if key in row), "")


def _in_box(name: str, box: Box) -> str:
    """The name of a level's value in the box: `services.NAME` may be of another group, and `compose` are its apps."""
    first, _, rest = name.partition(".")
    if first == "services":
        return f"{_group(rest.partition('.')[0], box)}.{rest}"
    return f"apps.{rest.rpartition('/')[2]}" if first == "compose" else name


def _group(container: str, box: Box) -> str:
    return next((group for group in GROUPS if container in _containers(box, group)), "services")


def _containers(box: Box, group: str) -> list[str]:
    return [container.name for container in getattr(box.spec, group)]


def _present(box: Box) -> set[str]:
    """The names of what the box has at the end: what was removed on the way came from nowhere."""
    named = {f"{group}.{container}" for group in GROUPS for container in _containers(box, group)}
    named |= {f"files.{str(file['path']).strip('/')}" for file in (*box.spec.files, *box.files)}
    named |= {f"health.checks.{check.name}" for check in box.health.checks} | {"health.probation"}
    named |= {f"apps.{app.name}" for app in box.apps}
    whole = {member.name for member in fields(box)} - {*IN_PARTS}
    return named | whole | {"kernel", "cmdline", "values"}
