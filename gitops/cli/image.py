"""`toweros image import`: images of user containers from an OCI layout, so that no registry is needed."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Images of user containers.", no_args_is_help=True)
    group.callback()(_group)
    group.command("import")(take)
    app.add_typer(group, name="image")


def _group() -> None:
    """Images of user containers: `toweros image import FOLDER`."""


def take(
    folder: Annotated[Path, typer.Argument(help="An OCI layout, as `skopeo copy` or `buildah push` writes one.")],
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take the images of an OCI layout into the store; prints the digests that a compose file names them by."""
    from gitops.workflows.import_images import Images, import_layout

    store = context.store(config, state)
    for digest in import_layout(Images(context.settings(config, state), store), store, folder):
        typer.echo(f"sha256:{digest}")
    talk.print("an app names them NAME@DIGEST")
