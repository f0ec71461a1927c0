"""`toweros box ssh`: a login on a box."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.cli.reaching.addresses import answering, usable
from gitops.errors import TowerosError
from gitops.fleet import load_fleet
from gitops.lab.stand_in import StandIn, known_hosts
from gitops.process import become
from gitops.rollout.status import box_status
from gitops.settings import Settings
from gitops.workflows.question import deployed_point

IdentityOption = Annotated[Path | None, typer.Option("--identity", "-i", help="The private key of the fleet.")]
AddressOption = Annotated[str, typer.Option("--address", help="Where the box is, if the fleet repo does not say it.")]


def ssh(
    name: NameArgument,
    command: Annotated[list[str] | None, typer.Argument(help="What to run there; nothing: a shell.")] = None,
    identity: IdentityOption = None,
    address: AddressOption = "",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Log in to a box: to its machine if `toweros vm run` has one, else to its address, as you, Git or its last report
    say. The host key must stay."""
    become([*login(context.settings(config, state), name, identity, address), *(command or [])])


def login(settings: Settings, name: str, identity: Path | None, address: str, *, known: bool = False) -> list[str]:
    """ssh(1) and its options, up to the command. `known`: only to a box whose host key was seen before.

    Raises:
        TowerosError: nobody knows where the box is.
    """
    stand_in = StandIn(settings, name)
    port = stand_in.ssh_port
    host = "127.0.0.1" if port else address or _static_address(settings, name) or _reported_address(settings, name)
    hosts = f"UserKnownHostsFile={known_hosts(settings)}"
    options = [f"HostKeyAlias={stand_in.host_alias if port else name}", hosts]
    options.append(f"StrictHostKeyChecking={'yes' if known and not port else 'accept-new'}")
    words = [word for option in options for word in ("-o", option)]
    words += ["-i", str(identity)] if identity else []
    return ["ssh", *words, "-p", str(port or 22), f"root@{host}"]


def _static_address(settings: Settings, name: str) -> str:
    """The address that Git gives a box at the deployed revision; empty: none."""
    store = context.existing_store(settings)
    point = deployed_point(store) if store else None
    fleet = load_fleet(point[1], settings.platform) if point else None
    if fleet and name in fleet.boxes and not fleet.boxes[name].network.dhcp:
        return fleet.boxes[name].network.address.partition("/")[0]
    return ""


def _reported_address(settings: Settings, name: str) -> str:
    """The first of those that its last report has which takes a connection.

    Raises:
        TowerosError: there is none.
    """
    store = context.existing_store(settings)
    status = box_status(store, name, int(time.time())) if store else None
    said = usable(getattr(status, "addresses", ()))
    if not said:
        raise TowerosError(f"no address of {name} is known", hint="it takes one by DHCP: pass --address")
    if found := said[0] if len(said) == 1 else answering(said):
        talk.print(f"{name} reported that it is at {found}")
        return found
    raise TowerosError(f"{name} answers at none of {', '.join(said)}", hint="is the site up? Or pass --address")
