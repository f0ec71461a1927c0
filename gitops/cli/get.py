"""`toweros get boxes`, `toweros get box NAME`, `toweros get packages`: what a fleet repo says, merged."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from gitops.cli.context import DirOption
from gitops.cli.output import Output, OutputOption, emit, table
from gitops.errors import TowerosError
from gitops.fleet import load_fleet
from gitops.fleet.documents.explain import did_you_mean
from gitops.fleet.origins import origins
from gitops.model import KEYS, Box, Fleet
from gitops.source.working_folder import fleet_in


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show what the fleet repo says, merged: boxes, box NAME, packages.", no_args_is_help=True)
    group.command()(boxes)
    group.command()(box)
    group.command()(packages)
    app.add_typer(group, name="get")


def boxes(folder: DirOption = Path(), output: OutputOption = Output.table) -> None:
    """List the boxes."""
    found = [_summary(each) for each in _fleet(folder).boxes.values()]
    rows = [[row["name"], row["role"], row["site"], row["network"], row["suspended"]] for row in found]
    emit(found, output, lambda: table(["BOX", "ROLE", "SITE", "NETWORK", "SUSPENDED"], rows))


def box(name: str, folder: DirOption = Path(), output: OutputOption = Output.table) -> None:
    """Show one box as fleet, role and box say it together, and where each value comes from."""
    tree = fleet_in(folder)
    fleet = load_fleet(tree)
    if name not in fleet.boxes:
        raise TowerosError(f"there is no box {name!r}", hint=did_you_mean(name, list(fleet.boxes)))
    found = fleet.boxes[name]
    places = origins(tree, found)
    rows = [[what, value, places.get(key, "")] for key, what, value in _rows(found)]
    said = {member: value for member, value in asdict(found).items() if value is not None}
    emit(_plain(said) | {"origins": places}, output, lambda: table(["WHAT", "VALUE", "FROM"], rows))


def _rows(box: Box) -> Iterator[tuple[str, str, str]]:
    """What the table shows: the key in `origins`, what it is, and its value."""
    members = {name: getattr(box, name) for name, key in KEYS.items() if key.levels}
    shown = _summary(box) | {name: _text(value) for name, value in members.items() if value is not None}
    yield from ((key, key, value) for key, value in shown.items())
    yield "cmdline", "cmdline", box.spec.cmdline
    yield "health.probation", "probation", f"{box.health.probation} s"
    for group in ("onboot", "services"):
        for container in getattr(box.spec, group):
            yield f"{group}.{container.name}", group.removesuffix("s"), f"{container.name} {container.image}"
    yield from ((f"apps.{app.name}", "app", f"{app.name} {app.pull}") for app in box.apps)
    yield from ((f"health.checks.{check.name}", "check", f"{check.name} {check.target}") for check in box.health.checks)
    yield from ((f"files.{file['path']}", "file", str(file["path"])) for file in box.files)


def packages(folder: DirOption = Path(), output: OutputOption = Output.table) -> None:
    """List the packages with their tags and transitive keys."""
    found = [_plain(asdict(package)) for package in _fleet(folder).packages.values()]
    rows = [[package["path"], package["tag"], package["key"][:12], ", ".join(package["depends"])] for package in found]
    emit(found, output, lambda: table(["PACKAGE", "TAG", "KEY", "DEPENDS ON"], rows))


def _fleet(folder: Path) -> Fleet:
    return load_fleet(fleet_in(folder))


def _summary(box: Box) -> dict[str, str]:
    return {
        "name": box.name,
        "role": box.role,
        "site": box.site,
        "labels": ",".join(f"{key}={value}" for key, value in box.labels),
        "network": box.network.address or "dhcp",
        "suspended": box.suspended,
    }


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain(value: Any) -> Any:
    """Tuples as lists: YAML has no others."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
