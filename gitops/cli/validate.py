"""`toweros validate [DIR]`: every mistake of a fleet repo in one run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from gitops.cli.output import Output, OutputOption, emit, talk
from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.source import FolderTree


def register(app: typer.Typer) -> None:
    app.command()(validate)


def validate(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="A working folder of the fleet repo.")] = Path(),
    output: OutputOption = Output.table,
) -> None:
    """Say every mistake as file:line:column: what; the fix. Uncommitted changes count."""
    try:
        fleet = load_fleet(FolderTree(folder))
    except FleetError as error:
        listing = "\n".join(str(problem) for problem in error.problems)
        emit([asdict(problem) for problem in error.problems], output, lambda: Text(listing))
        count = len(error.problems)
        talk.print(f"{count} mistake{'s' * (count != 1)}")
        raise typer.Exit(1) from error
    if output is not Output.table:
        emit([], output, str)
    talk.print(f"no mistakes: {len(fleet.boxes)} boxes, {len(fleet.packages)} packages")
