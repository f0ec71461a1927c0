"""`toweros box image`: a box's disk, or a medium of it."""

import dataclasses
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gitops.assemble.formats.disk import Firmware
from gitops.cli import context
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.output import talk
from gitops.cli.reaching.secret import check_name, read
from gitops.cli.showing.asking import YesOption, sure
from gitops.errors import TowerosError
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.enrolment import desk
from gitops.workflows.enrolment.outdated import key_of, outdated
from gitops.workflows.provision import Terms, provision, ruled
from gitops.workflows.question import deployed_point

OTHERS = (".iso", ".vmdk", ".vhd", ".vhdx", ".vdi")
"""Endings of what a raw disk is not."""
UNCHECKED = "a BIOS verifies nothing of what it boots (docs/bios.md)"

InstallOption = Annotated[
    str, typer.Option("--install", help="The medium settles a disk: largest, smallest, ask, or a disk's name.")
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="NAME=FILE", help="On a disk: what only this box may know; may be repeated."),
]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Although the box lives: it gets another key.")]


class Form(StrEnum):
    """What a box's image is."""

    raw = "raw"
    qcow2 = "qcow2"
    iso = "iso"


def image(
    name: NameArgument,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write (default: NAME.FORMAT).")] = None,
    format_: Annotated[
        Form | None, typer.Option("--format", help="A disk, or a medium (default: by the file's ending, else raw).")
    ] = None,
    state_size: Annotated[int | None, typer.Option(min=1, help="MiB for user data (STATE); else by `disk:`.")] = None,
    layers_size: Annotated[int | None, typer.Option(min=1, help="MiB for layers (TOWEROS); else by `disk:`.")] = None,
    firmware: Annotated[Firmware, typer.Option(help="What starts a disk; a medium starts by both.")] = Firmware.uefi,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="On a medium: a new key of the box, for whoever has the medium.")
    ] = False,
    install: InstallOption = "",
    secret: SecretOption = None,
    replace: ReplaceOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Write a new disk for a box (with a new key of its own), or a medium, with the release that it is asked to run."""
    form = format_ or _form_of(out)
    path = out or Path(f"{name}.{form}")
    _check_options(form, path, firmware, sizes=bool(state_size or layers_size), of_medium=with_key or bool(install))
    secrets = _secrets(form, secret or [])
    settings, store = context.settings(config, state), context.known_store(config, state)
    if form is Form.iso:
        if with_key:
            _ask(store, name, replace, yes)
        _medium(settings, store, name, path, with_key=with_key, install=install)
        if with_key:
            _tell_outdated(store, name)
        return
    _ask(store, name, replace, yes)
    sizes = dataclasses.replace(ruled(store, name, layers_size, state_size), bios=firmware is Firmware.bios)
    made = provision(settings, store, name, path, sizes, Terms(secrets=secrets))
    keys = f"enrol the certificates of {settings.keys} in its firmware"
    talk.print(f"{path}: disk of {name}, key {made}; {UNCHECKED if firmware is Firmware.bios else keys}")
    _tell_outdated(store, name)


def _ask(store: Store, name: str, replace: bool, yes: bool) -> None:
    """Raises TowerosError: the box lives, and nobody said `--replace`, or somebody said no."""
    desk.demand(store, name, replace=replace, now=int(time.time()))
    if replace and (lost := desk.ends(store, name)):
        sure(lost, yes)


def _secrets(form: Form, said: list[str]) -> dict[str, bytes]:
    """Raises TowerosError: they would not be a secret there, or there are none."""
    if said and form is Form.iso:
        raise TowerosError("a medium is for whoever has it: no secret goes onto one", hint="`toweros box secret` later")
    values: dict[str, bytes] = {}
    for each in said:
        which, _, path = each.partition("=")
        check_name(which)
        values[which] = read(which, Path(path))
    return values


def _tell_outdated(store: Store, name: str) -> None:
    """Git may name the key of before."""
    point = deployed_point(store)
    if point and (words := outdated(point[1], name, key_of(store, name))):
        talk.print(f"warning: {words}")


def _form_of(out: Path | None) -> Form:
    ending = out.suffix.removeprefix(".") if out else ""
    return Form(ending) if ending in list(Form) else Form.raw


def _check_options(form: Form, path: Path, firmware: Firmware, *, sizes: bool, of_medium: bool) -> None:
    """Raises TowerosError: what was asked for makes no sense together."""
    if form is Form.iso and firmware is Firmware.bios:
        raise TowerosError("a medium starts by UEFI and by a BIOS", hint="leave --firmware out")
    if form is Form.iso and sizes:
        raise TowerosError("a medium has no STATE and no TOWEROS to give sizes to", hint="leave the sizes out")
    if form is not Form.iso and of_medium:
        raise TowerosError("--with-key and --install are for a medium: a disk has a key", hint="--format iso")
    if form is Form.raw and path.suffix in OTHERS:
        hint = "say --format, or call it NAME.raw or NAME.img; `qemu-img convert` makes other formats of it"
        raise TowerosError(f"{path} would not be what its name says: a disk is raw or qcow2", hint=hint)
    if form is not Form.iso and (form is Form.qcow2) != (path.suffix == ".qcow2"):
        raise TowerosError(f"{path} does not end as a {form} disk does", hint="only .qcow2 is for qcow2")


def _medium(settings: Settings, store: Store, name: str, out: Path, *, with_key: bool, install: str) -> None:
    from gitops.workflows.media.medium import box_medium  # builders take long to load

    made = box_medium(settings, store, name, out, key=with_key, install=install)
    key = (
        f"with the key {made}: keep it as you keep the box"
        if made
        else "without a key: `toweros box enroll` lets it in"
    )
    talk.print(f"{out}: medium of {name}, {key}; enrol the certificates of {settings.keys} in the firmware")
