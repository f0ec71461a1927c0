"""`toweros keys ssh-ca` and `toweros keys rotate ssh-ca`: who vouches for the SSH host keys of boxes."""

from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption
from gitops.cli.output import talk
from gitops.sign import ssh
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


def rotate(place: Path, held: HeldEd25519 | None) -> None:
    ssh.rotate(place, held)
    talk.print("the next pass certifies with the new authority; give people the lines of `toweros keys ssh-ca` first")
    talk.print(f"{place / ssh.NAME}.old.pub stays among them until you remove it")
