"""`toweros box secret`: what only a box may know goes onto it, by ssh, and onto nothing else.

The value comes from a file or from stdin, and goes to the box's stdin: it is in no argument, no log, no store.
"""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.cli.reaching.login import AddressOption, IdentityOption, login
from gitops.cli.showing.asking import DryOption, would
from gitops.errors import TowerosError
from gitops.files.named import named
from gitops.fleet.network.radio import KEPT_AS
from gitops.process import run

LARGEST = 16 << 10
"""Bytes: a key with its certificates."""
PATIENCE = 120.0
"""Seconds for a box on a slow line."""
FOLDER = "/run/toweros/disk/secrets"
KEEP = """set -e; umask 077; mkdir -p {folder}; cat >{folder}/.{name}.put; sync
mv {folder}/.{name}.put {folder}/{name}; sync; [ -s {folder}/{name} ]"""
"""What the box's shell does; a cut leaves the old one or the new."""
DROP = "rm -f {folder}/{name} {folder}/{name}.sealed /run/toweros/secrets/{name}; sync"


def secret(
    name: NameArgument,
    which: Annotated[str, typer.Argument(metavar="SECRET", help="Its name, as a link's `secret` or `pin` has it.")],
    file: Annotated[Path | None, typer.Option("--file", help="Where it is; without, stdin.")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Take it away from the box.")] = False,
    dry: DryOption = False,
    identity: IdentityOption = None,
    address: AddressOption = "",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Give a box a passphrase, a PIN or a key that is no part of Git; its TPM seals it there."""
    check_name(which)
    value = b"" if drop else read(which, file)
    command = (DROP if drop else KEEP).format(folder=FOLDER, name=which)
    # Whoever answers where the box is to be must not hear it: a first login is for people, who compare the key.
    words = [*login(context.settings(config, state), name, identity, address, known=True), command]
    if dry:
        what = "take away" if drop else f"put {len(value)} bytes as"
        return would(f"{what} the secret {which} of {name}, at {words[-2]}")
    agent = {key: os.environ[key] for key in ("SSH_AUTH_SOCK",) if key in os.environ}
    run(
        words,
        stdin=value,
        env=agent,
        timeout=PATIENCE,
        hint=f"`toweros box ssh {name} true` first: it shows the host's key",
    )
    talk.print(f"{name}: the secret {which} is " + ("gone" if drop else "there"))


def check_name(which: str) -> None:
    """Raises TowerosError: no name of a secret."""
    if not re.fullmatch(KEPT_AS, which):
        hint = "small letters, digits and `-`, at most 32, as a link's `secret` has it"
        raise TowerosError(f"`{which[:40]}` is no name of a secret", hint=hint)


def read(which: str, file: Path | None) -> bytes:
    """The value. Raises TowerosError: there is none, or too much of it."""
    if file is None and sys.stdin.isatty():
        raise TowerosError(f"what is the secret {which}?", hint="pass --file, or let stdin have it")
    try:
        value = named(file, LARGEST + 1) if file else sys.stdin.buffer.read(LARGEST + 1)
    except OSError as error:
        raise TowerosError(f"{file} {error.strerror}", hint="name the file that has the secret") from error
    if not value.strip() or len(value) > LARGEST:
        fault = "more than 16 KiB" if value.strip() else "nothing"
        raise TowerosError(f"there is {fault} for the secret {which}", hint="give the passphrase, PIN or PEM alone")
    return value
