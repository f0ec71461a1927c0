"""`toweros get boxes|box NAME|packages`: what a fleet repo says, merged."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from gitops.cli.context import DirOption
from gitops.cli.output import Output, OutputOption, emit, table
from gitops.errors import TowerosError
from gitops.fleet import load_fleet
from gitops.fleet.schema import did_you_mean
from gitops.model import Box, Fleet
from gitops.source import FolderTree


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
    """Show one box as fleet, role and box say it together."""
    fleet = _fleet(folder)
    if name not in fleet.boxes:
        raise TowerosError(f"there is no box {name!r}", hint=did_you_mean(name, list(fleet.boxes)))
    found = fleet.boxes[name]
    rows = [[key, str(value)] for key, value in _summary(found).items()]
    rows += [["cmdline", found.spec.cmdline]]
    rows += [["service", f"{container.name} {container.image}"] for container in found.spec.services]
    rows += [["check", f"{check.name} {check.target}"] for check in found.health.checks]
    rows += [["file", str(file["path"])] for file in found.files]
    emit(_plain(asdict(found)), output, lambda: table(["WHAT", "VALUE"], rows))


def packages(folder: DirOption = Path(), output: OutputOption = Output.table) -> None:
    """List the packages with their tags and transitive keys."""
    found = [_plain(asdict(package)) for package in _fleet(folder).packages.values()]
    rows = [[package["path"], package["tag"], package["key"][:12], ", ".join(package["depends"])] for package in found]
    emit(found, output, lambda: table(["PACKAGE", "TAG", "KEY", "DEPENDS ON"], rows))


def _fleet(folder: Path) -> Fleet:
    return load_fleet(FolderTree(folder))


def _summary(box: Box) -> dict[str, str]:
    return {
        "name": box.name,
        "role": box.role,
        "site": box.site,
        "labels": ",".join(f"{key}={value}" for key, value in box.labels),
        "network": box.network.address or "dhcp",
        "suspended": box.suspended,
    }


def _plain(value: Any) -> Any:
    """Tuples as lists: YAML has no others."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
