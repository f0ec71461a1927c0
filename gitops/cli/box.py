"""`toweros box image`, `box enroll`, `box revoke`, `box ssh`: a box's disk, whose reports count, and a login."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.assemble.formats.disk import Sizes
from gitops.cli import context
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.errors import StoreError, TowerosError
from gitops.fleet import load_fleet
from gitops.lab.stand_in import StandIn, known_hosts
from gitops.process import become
from gitops.settings import Settings
from gitops.sign.box import public_key
from gitops.workflows.provision import provision
from gitops.workflows.question import deployed_point


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Boxes: their disks and keys.", no_args_is_help=True)
    group.command()(image)
    group.command()(enroll)
    group.command()(revoke)
    group.command(context_settings={"ignore_unknown_options": True})(ssh)
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
    context.store(config, state).boxes.enroll(name, public)
    talk.print(f"{name} is enrolled")


def revoke(name: NameArgument, config: ConfigOption = None, state: StateOption = None) -> None:
    """Take no report of this box any more."""
    store = context.store(config, state)
    if store.boxes.row(name) is None:
        raise StoreError(f"there is no box {name}", hint="`toweros status` lists them")
    store.boxes.revoke(name)
    talk.print(f"{name} is revoked")


def ssh(
    name: NameArgument,
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; nothing: a shell.")] = None,
    identity: Annotated[Path | None, typer.Option("--identity", "-i", help="The private key of the fleet.")] = None,
    address: Annotated[str, typer.Option(help="Where the box is, if the fleet repo does not say it.")] = "",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Log in to a box: to its machine if `toweros vm run` has one, else to its address. The host key must stay."""
    settings = context.settings(config, state)
    stand_in = StandIn(settings, name)
    port = stand_in.ssh_port
    host = "127.0.0.1" if port else address or _static_address(settings, name)
    known = f"UserKnownHostsFile={known_hosts(settings)}"
    options = [f"HostKeyAlias={stand_in.host_alias if port else name}", known, "StrictHostKeyChecking=accept-new"]
    words = [word for option in options for word in ("-o", option)]
    words += ["-i", str(identity)] if identity else []
    become(["ssh", *words, "-p", str(port or 22), f"root@{host}", *(command or [])])


def _static_address(settings: Settings, name: str) -> str:
    """The address that Git gives a box at the deployed revision."""
    store = context.existing_store(settings)
    point = deployed_point(store) if store else None
    fleet = load_fleet(point[1], settings.platform) if point else None
    if fleet and name in fleet.boxes and not fleet.boxes[name].network.dhcp:
        return fleet.boxes[name].network.address.partition("/")[0]
    raise TowerosError(f"no address of {name} is known", hint="it takes one by DHCP: pass --address")
