"""`toweros retry`: try again what failed on a box, when the cause was outside of the release."""

import time
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import TowerosError
from gitops.rollout import retries

WhoOption = Annotated[str, typer.Option(envvar=["SUDO_USER", "USER"], help="Who says so (default: your login).")]


def register(app: typer.Typer) -> None:
    app.command()(retry)


def retry(
    box: Annotated[str, typer.Argument(metavar="BOX", help="The box.")],
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")],
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Try once more what failed on a box. (In Git: `retry:`, whose every new text counts once.)"""
    store = context.store(config, state)
    if store.states.one(box) is None:
        raise TowerosError(f"there is no box {box}", hint="`toweros status` lists them")
    why = " ".join(why.split())
    if not why:
        raise TowerosError("a reason is missing", hint="say with --why what was outside of the release")
    retries.retry(store, box, who, why, int(time.time()))
    talk.print(f"{box} tries again what failed there, once, from the next pass and its next look on")
