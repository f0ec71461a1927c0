"""`toweros box image`, `box enroll`, `box revoke`: a box's disk, and whose reports count."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.assemble.disk import Sizes
from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import StoreError
from gitops.provision import provision
from gitops.sign.box import public_key

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The box's name, as in boxes/NAME.yaml.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Boxes: their disks and keys.", no_args_is_help=True)
    group.command()(image)
    group.command()(enroll)
    group.command()(revoke)
    app.add_typer(group, name="box")


def image(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", help="The disk image to write: raw, or qcow2 by its name's ending.")],
    state_size: Annotated[int, typer.Option(help="MiB for user data (STATE).")] = Sizes.state,
    layers_size: Annotated[int, typer.Option(help="MiB for layers and releases (TOWEROS).")] = Sizes.toweros,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write a new disk for a box, with the release that it is asked to run and a new key of its own."""
    settings = context.settings(config, state)
    sizes = Sizes(toweros=layers_size, state=state_size)
    provision(settings, context.store(config, state), name, out, sizes)
    talk.print(f"{out}: disk of {name}; enrol the certificates of {settings.keys} in its firmware")


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
