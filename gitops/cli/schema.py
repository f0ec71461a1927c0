"""`toweros schema [NAME]`: JSON Schemas: of the files of a fleet repo, for editors, and of what controller and box exchange."""

import enum
import json
from importlib.resources import files
from typing import Annotated, Any

import typer

from gitops.fleet.schema import KINDS, json_schema
from gitops.model import Level

CONTRACTS = files("gitops") / "contracts"
"""A link to the repo's contracts/; in what is installed, a copy."""
Name = enum.StrEnum("Name", [*KINDS, *sorted(each.name for each in CONTRACTS.iterdir() if each.is_dir())])  # type: ignore[misc]


def register(app: typer.Typer) -> None:
    app.command()(schema)


def schema(name: Annotated[Name | None, typer.Argument(help="One document; all without it.")] = None) -> None:
    """Print JSON Schemas: fleet.yaml, roles/NAME.yaml, boxes/NAME.yaml, and what controller and box exchange."""
    value = _schema(name) if name else {each: _schema(each) for each in Name}
    typer.echo(json.dumps(value, indent=2))


def _schema(name: str) -> Any:
    return json_schema(Level(name)) if name in KINDS else json.loads((CONTRACTS / name / "schema.json").read_bytes())
