"""`toweros keys record` and `toweros keys rotate record`: who signs the record of deployments."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption
from gitops.cli.output import talk
from gitops.sign.record import key
from gitops.sign.record.key import NAME
from gitops.sign.tokens.held import HeldEd25519

__all__ = ["NAME", "rotate", "show"]


def show(
    folder: Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")] = None,
    config: ConfigOption = None,
) -> None:
    """The lines by which others check the record of deployments (`toweros verify --record --signers FILE`)."""
    for line in key.lines(folder or context.settings(config).keys):
        typer.echo(line)


def rotate(place: Path, held: HeldEd25519 | None) -> None:
    key.rotate(place, held)
    talk.print("new entries are signed by the new key; give people the lines of `toweros keys record` again")
    talk.print(f"the one before stays among them, in {place / key.OLD}, for the entries that it signed")
