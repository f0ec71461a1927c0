"""`toweros image import`: images of others from files or the Docker engine, so that no registry is needed."""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import printable, talk
from gitops.errors import AssembleError


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Images of others.", no_args_is_help=True)
    group.callback()(_group)
    group.command("import")(take)
    app.add_typer(group, name="image")


def _group() -> None:
    """Images of others: `toweros image import FROM`."""


def take(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="An OCI layout (a folder or a tar; LinuxKit's cache is one), a file of `docker save`, or docker:NAME.",
        ),
    ],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="These alone; none: all.")] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take images into the store; prints the digest and the name of each. A fleet repo names them NAME@DIGEST."""
    from gitops.oci.elsewhere import Elsewhere
    from gitops.oci.files.importing import import_images

    settings, store = context.settings(config, state), context.store(config, state)
    result = import_images(Elsewhere(settings, store), store, source, names or (), settings.docker_host)
    for one in result.images:
        typer.echo(printable(f"sha256:{one.digest} {one.name}"))
    if result.problems:
        words = "\n".join(f"{name}: {why}" for name, why in result.problems.items())
        raise AssembleError(words, hint=f"{len(result.images)} others are in the store")
    talk.print("a boot spec, an app or a Dockerfile names them NAME@DIGEST")
