"""`toweros image`: the medium of a role; and `import`: images of others from files or the Docker engine, so that no
registry is needed."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import printable, talk
from gitops.errors import AssembleError, TowerosError


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The medium of a role; images of others.", no_args_is_help=True)
    group.callback(invoke_without_command=True)(make)
    group.command("import")(take)
    app.add_typer(group, name="image")


class Form(StrEnum):
    """What the image of a role is."""

    iso = "iso"


def make(
    context_: typer.Context,
    role: Annotated[str, typer.Option("--role", help="A role: any machine that starts by it runs that.")] = "",
    format_: Annotated[Form, typer.Option("--format", help="What is written.")] = Form.iso,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write (default: ROLE.FORMAT).")] = None,
    install: Annotated[
        str, typer.Option("--install", help="It settles a disk: largest, smallest, ask, or a disk's name.")
    ] = "",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write the medium of a role, with nothing of any box; `toweros image import FROM` takes images of others."""
    if context_.invoked_subcommand:
        if role or out:
            raise TowerosError("--role and --out are for a medium", hint="toweros image --role ROLE --out FILE")
        return
    if not role:
        raise TowerosError("which role is it?", hint="toweros image --role ROLE")
    from gitops.workflows.media.medium import role_medium  # builders take long to load

    path = out or Path(f"{role}.{format_}")
    made = role_medium(context.settings(config, state), context.known_store(config, state), role, path, install=install)
    talk.print(f"{path}: medium of the role {role}, content {made.content.digest[:12]}; it has no key")


def take(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="An OCI layout (a folder or a tar; LinuxKit's cache is one), a file of `docker save`, - for such a "
            "tar on stdin, or docker:NAME.",
        ),
    ],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="These alone; none: all.")] = None,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take images into the store; prints the digest and the name of each. A fleet repo names them NAME@DIGEST."""
    from gitops.oci.elsewhere import Elsewhere
    from gitops.oci.files.importing import check_there, import_images

    check_there(source)
    settings, store = context.settings(config, state), context.store(config, state)
    result = import_images(Elsewhere(settings, store), store, source, names or (), settings.docker_host)
    for one in result.images:
        typer.echo(printable(f"sha256:{one.digest} {one.name}"))
    if result.problems:
        words = "\n".join(f"{name}: {why}" for name, why in result.problems.items())
        raise AssembleError(words, hint=f"{len(result.images)} others are in the store")
    talk.print("a boot spec, an app or a Dockerfile names them NAME@DIGEST")
