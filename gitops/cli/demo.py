"""`toweros demo`: what `make demo` runs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    folder: Annotated[Path, typer.Option("--dir", "-C", help="Where everything of the demo is kept.")] = Path("demo"),
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Its fleet repo, keys and settings alone: nothing is built.")
    ] = False,
) -> None:
    """Boot a box in QEMU, let it update itself on a commit, and undo a bad one."""
    from gitops.lab.demo import Demo

    console = Console(highlight=False, soft_wrap=True)
    if prepare:
        Demo(folder, console).prepare()
    elif not Demo(folder, console).run():
        raise typer.Exit(1)
