"""`toweros box adopt`: who waits for a name, and the commit that gives one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, DirOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.showing.asking import DryOption, would
from gitops.cli.showing.choosing import labels
from gitops.errors import TowerosError
from gitops.model.machines.newcomer import code as code_of
from gitops.review.words import ago
from gitops.store import Store
from gitops.store.notes.newcomers import Newcomer
from gitops.workflows.enrolment import box_file, desk, newcomers

HEADS = ["CODE", "ROLE", "SERIAL", "MACS", "TPM", "ADDRESS", "ASKS SINCE", "HEARD", "SAYS"]


def adopt(
    code: Annotated[str, typer.Argument(metavar="[CODE]", help="As the machine shows it: all 20 digits.")] = "",
    name: Annotated[str, typer.Option("--name", help="What the box shall be called: boxes/NAME.yaml.")] = "",
    role: Annotated[str, typer.Option("--role", help="Its role; else that of the medium that it runs.")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; repeat it.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Who waits for a name.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In the place of a box that there is.")] = False,
    dry: DryOption = False,
    push: Annotated[bool, typer.Option("--push", help="Push the commit, too.")] = False,
    sign: Annotated[bool, typer.Option("--sign", "-S", help="Sign the commit, as `git commit -S`.")] = False,
    folder: DirOption = Path(),
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Give a machine that waits a name: one commit in a folder of the fleet repo, which you push."""
    store, now = context.known_store(config, state), int(time.time())
    if list_ or not code:
        show(newcomers.living(store, now), now, output)
        return
    if not name:
        raise TowerosError("what shall the box be called?", hint="pass --name NAME")
    wanted = _wanted(store, code, box_file.Adopted(name, "", role, dict(labels(label or ())), replace), now)
    if dry:
        return would(f"commit boxes/{name}.yaml, the machine {code_of(wanted.key)}, role {wanted.role or 'as it is'}")
    commit = box_file.adopt(folder, wanted, sign=sign)
    talk.print(f"committed {commit}: boxes/{name}.yaml, the machine {code_of(wanted.key)}")
    if push:
        box_file.push(folder)
        talk.print(f"pushed: as soon as it is deployed, the machine is {name}")
    else:
        talk.print(f"deploy it with `git push` (or a higher tag): then the machine is {name}")


def show(waiting: Mapping[str, Newcomer], now: int, output: Output) -> None:
    """Who waits, as a table or for programs."""
    rows = [_row(key, each, now) for key, each in waiting.items()]
    data = [{"code": code_of(key), "key": key, **each.__dict__} for key, each in waiting.items()]
    emit(data, output, lambda: table(HEADS, rows) if rows else "Nobody waits for a name.")


def _row(key: str, each: Newcomer, now: int) -> list[str]:
    says = f"it is {each.box}" if each.box else each.refused
    words = (each.role, each.serial, " ".join(each.macs), each.ek, each.address)
    return [code_of(key), *words, ago(each.first, now), ago(each.last, now), says]


def _wanted(store: Store, code: str, asked: box_file.Adopted, now: int) -> box_file.Adopted:
    """With the key that has this code, and the role of its medium.

    Raises:
        StoreError: nobody asks with it, or the box of this name lives and nobody said `replace`.
    """
    key, newcomer = newcomers.find(store, code, now)
    if newcomer.box:
        raise TowerosError(f"this machine is {newcomer.box} already", hint="it takes its release as it was given")
    desk.demand(store, asked.name, replace=asked.replace, now=now)
    role = asked.role or ("" if asked.replace else newcomer.role)
    return box_file.Adopted(asked.name, key, role, asked.labels, asked.replace)
