"""`toweros box enroll`, `box revoke`: whose reports count."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import StoreError
from gitops.sign.box import public_key

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The box's name, as in boxes/NAME.yaml.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Boxes: their disks and keys.", no_args_is_help=True)
    group.command()(enroll)
    group.command()(revoke)
    app.add_typer(group, name="box")


def enroll(
    name: NameArgument,
    key: Annotated[str, typer.Option("--key", help="The public key: 64 hex digits, or a PEM file.")],
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take reports of this box from now on."""
    path = Path(key)
    public = public_key(path.read_bytes() if path.is_file() else key.encode())
    context.store(config, state).enroll(name, public)
    talk.print(f"{name} is enrolled")


def revoke(name: NameArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Take no report of this box any more."""
    store = context.store(config, state)
    if store.box(name) is None:
        raise StoreError(f"there is no box {name}", hint="`toweros status` lists them")
    store.revoke(name)
    talk.print(f"{name} is revoked")
