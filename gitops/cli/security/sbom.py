"""`toweros sbom BOX|ROLE|PKG`: what is inside."""

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import console, table, talk
from gitops.errors import StoreError
from gitops.model import Component, Inventory

SHOWN = 3
"""Licences of a package in the table."""


class Format(enum.StrEnum):
    """The value of `-o`."""

    table = "table"
    cyclonedx = "cyclonedx"
    spdx = "spdx"


def register(app: typer.Typer) -> None:
    app.command()(sbom)


def sbom(
    name: Annotated[str, typer.Argument(metavar="BOX|ROLE|PKG", help="A box, a role, or a path such as pkg/sshd.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", "-C", help="A working folder of the fleet repo (default: what is deployed).")
    ] = None,
    output: Annotated[Format, typer.Option("-o", "--output", help="How to print it.")] = Format.table,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """List the packages inside of a box, a role or a package, with source, version and licence."""
    from gitops.security.sbom.documents import documents  # with the libraries of the formats, these take long to load
    from gitops.workflows.question import fleet_of
    from gitops.workflows.security.inventories import Inventories

    settings = context.settings(config, state)
    store = context.existing_store(settings)
    if store is None:
        raise StoreError(f"nothing is built yet in {settings.state}", hint="`toweros build` or `toweros apply` first")
    fleet = fleet_of(store, folder, settings.platform)
    found = Inventories(store, fleet.packages, remember=False).of_name(name, fleet)
    if output is Format.table:
        _show(found)
        return
    sys.stdout.write(documents(found)["cdx" if output is Format.cyclonedx else "spdx"].decode() + "\n")


def _show(found: Inventory) -> None:
    rows = [[each.name, each.version, _source(each), each.ecosystem, _licences(each)] for each in found.components]
    console.print(table(["PACKAGE", "VERSION", "SOURCE", "FROM", "LICENCE"], rows))
    talk.print(f"{len(found.components)} packages, and {len(found.files)} files that no package owns")
    for text in found.unread:
        talk.print(f"not complete: {text}")


def _source(component: Component) -> str:
    same = (component.source, component.source_version) == (component.name, component.version)
    return "" if same else f"{component.source} {component.source_version}"


def _licences(component: Component) -> str:
    """The first few: a C library has forty. The documents have them all."""
    more = len(component.licences) - SHOWN
    return ", ".join(component.licences[:SHOWN]) + (f" and {more} more" if more > 0 else "")
