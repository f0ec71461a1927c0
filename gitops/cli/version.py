"""`toweros version`."""

import typer

from gitops import __version__


def register(app: typer.Typer) -> None:
    app.command()(version)


def version() -> None:
    """Print the version."""
    typer.echo(__version__)
