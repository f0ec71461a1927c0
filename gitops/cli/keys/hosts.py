"""`toweros keys ssh-ca`, `rotate ssh-ca`, `ssh-user-ca`: who vouches for the SSH host keys of boxes, and for people."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption
from gitops.cli.output import talk
from gitops.sign import ssh
from gitops.sign.people.authority import NAME, UserAuthority
from gitops.sign.tokens.held import HeldEd25519
from gitops.workflows.enrolment.host_keys import hosts
from gitops.workflows.question import fleet_of


def ssh_ca(
    folder: Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")] = None,
    hosts_: Annotated[str, typer.Option("--hosts", help="Patterns, by commas (default: the fleet's boxes).")] = "",
    config: ConfigOption = None,
) -> None:
    """The lines for known_hosts by which a box's SSH host key is known before it is seen."""
    settings = context.settings(config)
    patterns = hosts_.split(",") if hosts_ else hosts(fleet_of(context.known_store(config), None, settings.platform))
    for line in ssh.lines(folder or settings.keys, patterns):
        typer.echo(line)


def ssh_user_ca(
    folder: Annotated[Path | None, typer.Argument(help="The keys folder (default: the setting `keys`).")] = None,
    config: ConfigOption = None,
) -> None:
    """The line of the fleet repo's keys/ssh_user_ca.pub: whom boxes with `remote:` let in. Made when there is none."""
    place = folder or context.settings(config).keys
    opened = UserAuthority.open(place) if (place / NAME).exists() else _new_user_ca(place=place, config=config)
    typer.echo(f"{opened.public} {NAME}")


@audited("keys.ssh-user-ca", "place")
def _new_user_ca(place: Path, config: Path | None) -> UserAuthority:
    """Who may vouch for people from now on has its line in the audit log."""
    del config
    return UserAuthority.open(place)


def rotate(place: Path, held: HeldEd25519 | None) -> None:
    ssh.rotate(place, held)
    talk.print("the next pass certifies with the new authority; give people the lines of `toweros keys ssh-ca` first")
    talk.print(f"{place / ssh.NAME}.old.pub stays among them until you remove it")
