"""`toweros schema [fleet|role|box]`: JSON Schemas for editors."""

import json
from typing import Annotated

import typer

from gitops.fleet.schema import KINDS, json_schema
from gitops.model import Level


def register(app: typer.Typer) -> None:
    app.command()(schema)


def schema(kind: Annotated[Level | None, typer.Argument(help="One kind of file; all without it.")] = None) -> None:
    """Print the JSON Schema of a kind of file: fleet.yaml, roles/NAME.yaml or boxes/NAME.yaml."""
    value = json_schema(kind) if kind else {name: json_schema(name) for name in KINDS}
    typer.echo(json.dumps(value, indent=2))
