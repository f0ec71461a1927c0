"""`toweros schema [NAME]`: JSON Schemas of the files of a fleet repo, and of what controller and box exchange."""

import enum
import json
from importlib.resources import files
from typing import Annotated, Any

import typer

from gitops.fleet.schema import KINDS, json_schema
from gitops.model import Level

CONTRACTS = files("gitops") / "contracts"
"""A link to the repo's contracts/; in what is installed, a copy."""


class Name(enum.StrEnum):
    """What has a schema."""

    fleet = "fleet"
    role = "role"
    box = "box"
    release = "release"
    custom = "custom"
    report = "report"
    envelope = "envelope"
    small = "small"
    receipt = "receipt"
    boot = "boot"
    agent = "agent"
    builder = "builder"
    attestation = "attestation"
    firmware = "firmware"
    naming = "naming"
    bundle = "bundle"


def register(app: typer.Typer) -> None:
    app.command()(schema)


def schema(name: Annotated[Name | None, typer.Argument(help="One document; all without it.")] = None) -> None:
    """Print the JSON Schema of a file of a fleet repo, or of a document between controller and box."""
    value = _schema(name) if name else {each: _schema(each) for each in Name}
    typer.echo(json.dumps(value, indent=2))


def _schema(name: str) -> Any:
    return json_schema(Level(name)) if name in KINDS else json.loads((CONTRACTS / name / "schema.json").read_bytes())
