"""`toweros init DIR`: a new fleet repo."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli.output import talk
from gitops.source.new_fleet import make


def register(app: typer.Typer) -> None:
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    branch: Annotated[str, typer.Option(help="The first branch.")] = "main",
) -> None:
    """Make a fleet repo: template, boot specs and packages, with a first commit."""
    commit = make(folder, branch)
    talk.print(f"{folder}: a fleet repo on {branch}, first commit {commit[:12]}")
    talk.print("should files have left the mirrors when it is built: `toweros lock --gone`, and commit")
    talk.print(f"next: `toweros validate {folder}`, then `toweros keys init`")
