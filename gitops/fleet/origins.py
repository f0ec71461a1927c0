"""Where each value of a box comes from, for people who ask.

In: the tree, and a box as `load_fleet` made it. Out: dotted name -> `FILE:LINE`. Rules: the last level that says
something is named (fleet, role, box); what no file says has no entry, for it is a default or made by TowerOS. The
levels' files are read again here, so that a plan of many boxes need not keep marks.

    origins(tree, box)["services.sshd.env"]      # -> "boxes/demo-1.yaml:4"
"""

from collections.abc import Iterator, Sequence
from typing import Any

from gitops.errors import Problem
from gitops.fleet import yaml
from gitops.model import Box, Tree

GROUPS = ("onboot", "onshutdown", "services")
SCALARS = ("role", "site", "suspended", "poll")
KERNEL = {"image": "kernel", "cmdline": "cmdline"}


def origins(tree: Tree, box: Box) -> dict[str, str]:
    """Dotted name -> `FILE:LINE`, in the order of the files: boot specs, fleet.yaml, the role, the box."""
    role = _document(tree, f"roles/{box.role}.yaml")
    found: dict[str, str] = {}
    for path in role.value.get("boot", ()):
        found |= dict(_of_boot(_document(tree, path)))
    for document in (_document(tree, "fleet.yaml"), role, _document(tree, f"boxes/{box.name}.yaml")):
        found |= dict(_of_level(document))
    present = _present(box)
    return {name: place for name, place in found.items() if name in present or name.rpartition(".")[0] in present}


def _document(tree: Tree, path: str) -> yaml.Document:
    problems: list[Problem] = []
    document = yaml.load(tree.read(path), path, problems) if path in tree.entries() else None
    known = document if document and isinstance(document.value, dict) else None
    return known or yaml.Document(path, {})


def _at(document: yaml.Document, *path: str | int) -> str:
    return f"{document.file}:{document.mark(path, key=True)[0]}"


def _of_boot(document: yaml.Document) -> Iterator[tuple[str, str]]:
    """A LinuxKit file: its kernel, containers and files."""
    for key, name in KERNEL.items():
        if key in (document.value.get("kernel") or {}):
            yield name, _at(document, "kernel", key)
    for group in GROUPS:
        for index, container in enumerate(document.value.get(group) or ()):
            yield f"{group}.{container['name']}", _at(document, group, index)
    for index, file in enumerate(document.value.get("files") or ()):
        yield f"files.{_path(file)}", _at(document, "files", index)


def _of_level(document: yaml.Document) -> Iterator[tuple[str, str]]:
    """fleet.yaml, a role or a box."""
    said = document.value
    yield from ((name, _at(document, name)) for name in SCALARS if name in said)
    if said.get("cmdline"):
        yield "cmdline", _at(document, "cmdline")
    for part in ("network", "labels", "values"):
        yield from ((f"{part}.{key}", _at(document, part, key)) for key in said.get(part) or {})
    for name, keys in (said.get("services") or {}).items():
        for group in GROUPS:
            yield from ((f"{group}.{name}.{key}", _at(document, "services", name, key)) for key in keys)
    health = said.get("health") or {}
    if "probation" in health:
        yield "health.probation", _at(document, "health", "probation")
    yield from _named(document, ("health", "checks"), "health.checks", health.get("checks"), "name")
    for index, file in enumerate(said.get("files") or ()):
        yield f"files.{_path(file)}", _at(document, "files", index)
    for index, app in enumerate(said.get("compose") or ()):
        yield f"apps.{app['app'].rpartition('/')[2]}", _at(document, "compose", index)


def _named(
    document: yaml.Document, place: Sequence[str], prefix: str, rows: Any, key: str
) -> Iterator[tuple[str, str]]:
    for index, row in enumerate(rows or ()):
        yield f"{prefix}.{row[key]}", _at(document, *place, index)


def _path(file: dict[str, Any]) -> str:
    return str(file.get("path", "")).strip("/")


def _present(box: Box) -> set[str]:
    """The names of what the box has at the end: what was removed on the way came from nowhere."""
    named = {f"{group}.{container.name}" for group in GROUPS for container in getattr(box.spec, group)}
    named |= {f"files.{_path(file)}" for file in (*box.spec.files, *box.files)}
    named |= {f"health.checks.{check.name}" for check in box.health.checks}
    named |= {f"apps.{app.name}" for app in box.apps}
    return named | {*SCALARS, *KERNEL.values(), "network", "labels", "values", "health.probation"}
