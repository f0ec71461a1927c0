"""`toweros box image`, `adopt`, `enroll`, `revoke`, `wipe`, `accept-dbx`, `secret`, `ssh`, `logs`, `shell`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, NameArgument, StateOption
from gitops.cli.media.box_image import ReplaceOption, image
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.reaching.login import ssh
from gitops.cli.reaching.secret import secret
from gitops.cli.remote.sessions import logs, shell
from gitops.cli.repo.adopt import adopt
from gitops.cli.repo.wipe import wipe
from gitops.cli.showing.asking import DryOption, YesOption, sure, would
from gitops.errors import StoreError
from gitops.files.named import named
from gitops.review.words import ago
from gitops.sign.box import fingerprint as fingerprint_of
from gitops.sign.box import public_key
from gitops.sign.firmware import dbx
from gitops.workflows.enrolment import desk

MAX_KEY = 4096
"""Bytes of a public key's file."""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Boxes: their disks and keys.", no_args_is_help=True)
    group.command()(audited("box.image", "name")(image))
    group.command()(audited("box.adopt", "name", "code", unless=("list_", "dry"), keeps="name")(adopt))
    group.command()(audited("box.enroll", "name", "fingerprint", unless=("list_", "dry"), keeps="name")(enroll))
    group.command()(audited("box.revoke", "name")(revoke))
    group.command()(audited("box.wipe", "name", "key", unless=("dry",))(wipe))
    group.command()(audited("box.accept-dbx", "names")(accept_dbx))
    group.command()(audited("box.secret", "name", "which", unless=("dry",))(secret))
    group.command(context_settings={"ignore_unknown_options": True})(ssh)
    group.command()(logs)
    group.command(context_settings={"ignore_unknown_options": True})(shell)
    app.add_typer(group, name="box")


def enroll(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The box's name, as in boxes/NAME.yaml.")] = "",
    key: Annotated[str, typer.Option("--key", help="The public key: 64 hex digits, or a PEM file.")] = "",
    fingerprint: Annotated[str, typer.Option(help="The key that asks and has this fingerprint.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Who asks to be let in.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the key that it has, forget the one to come.")] = False,
    replace: ReplaceOption = False,
    yes: YesOption = False,
    dry: DryOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Take reports of this box from now on: of the key that you name, or of one that asks, by its fingerprint."""
    store, now = context.known_store(config, state), int(time.time())
    if list_ or not name:
        _show(desk.requests(store, now, name), now, output)
        return
    if keep:
        gone = desk.keep(store, name)
        talk.print(f"{name} keeps its key" + (f"; {fingerprint_of(gone)} does not come any more" if gone else ""))
        return
    if bool(key) == bool(fingerprint):
        _show(desk.requests(store, now, name), now, output)
        hint = f"compare with `toweros-box status` on {name}; then pass --fingerprint (or --key, with its public key)"
        raise StoreError("which key is it?", hint=hint)
    if key:
        path = Path(key)
        public = public_key(_key(path) if path.exists() else key.encode())
        desk.demand(store, name, replace=replace, now=now)
    else:
        public = desk.asking(store, name, fingerprint, now, replace=replace)
    if dry:
        return would(f"let the key {fingerprint_of(public)} be that of {name}")
    if replace and (lost := desk.ends(store, name)):
        sure(lost, yes)
    desk.let_in(store, name, public, replace=replace and bool(key))
    talk.print(f"{name} is enrolled: what its key {fingerprint_of(public)} reports counts from now on")


def _key(path: Path) -> bytes:
    try:
        return named(path, MAX_KEY)
    except OSError as error:
        raise StoreError(f"{path} {error.strerror}", hint="give 64 hex digits, or a PEM file") from error


def _show(requests: Sequence[desk.Request], now: int, output: Output) -> None:
    rows = [[each.box, each.fingerprint, ago(each.first, now), ago(each.last, now)] for each in requests]
    heads = ["BOX", "FINGERPRINT", "ASKS SINCE", "HEARD"]
    emit([each.as_json() for each in requests], output, lambda: table(heads, rows) if rows else "Nobody asks.")


def revoke(name: NameArgument, yes: YesOption = False, config: ConfigOption = None, state: StateOption = None) -> None:
    """Take no report of this box any more."""
    store = context.known_store(config, state)
    if store.boxes.row(name) is None:
        raise StoreError(f"there is no box {name}", hint="`toweros status` lists them")
    sure(f"what {name} reports counts no more, and this key of its never again", yes)
    desk.revoke(store, name)
    talk.print(f"{name} is revoked")


def accept_dbx(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Boxes whose firmware may forbid less.")],
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Take what these boxes said last of their firmware's dbx, though it lost what it listed before."""
    store = context.known_store(config, state)
    for name in names:
        talk.print(f"{name}: dbx {dbx.take(store, name)[:16] or 'that lists nothing'} is taken")
