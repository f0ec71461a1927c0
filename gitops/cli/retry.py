"""`toweros retry`: try again what failed, on a box or on all that failed, when the cause was outside of the release."""

from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import TowerosError
from gitops.workflows.acting.acting import reason
from gitops.workflows.acting.boxes import retry_all

if TYPE_CHECKING:
    from gitops.store import Store

WhoOption = Annotated[str, typer.Option(envvar=["SUDO_USER", "USER"], help="Who says so (default: your login).")]
ONE = "name a box, or say --failed for all that failed"
SHOWN = 20


def register(app: typer.Typer) -> None:
    app.command()(retry)


def retry(
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")],
    box: Annotated[str, typer.Argument(metavar="[BOX]", help="The box.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="All boxes that failed on what they are to run.")] = False,
    wave: Annotated[str, typer.Option(help="With --failed: of this wave alone.")] = "",
    role: Annotated[str, typer.Option(help="With --failed: of this role alone.")] = "",
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Try once more what failed on a box. (In Git: `retry:`, whose every new text counts once.)"""
    if bool(box) == failed or ((wave or role) and not failed):
        raise TowerosError("which boxes are meant is not clear", hint=ONE)
    settings = context.settings(config, state)
    store = context.known_store(config, state)
    if box and store.states.one(box) is None:
        raise TowerosError(f"there is no box {box}", hint="`toweros status` lists them")
    why = reason(why, hint="say with --why what was outside of the release")
    boxes = [box] if box else _failed(store, settings.platform, wave, role)
    told, refused = retry_all(acting(store, who), boxes, why)
    for error in refused[:SHOWN]:
        talk.print(f"{error.message}; {error.hint}")
    if not told:
        raise refused[0] if refused else TowerosError("no box failed", hint="`toweros status` says how each of them is")
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    verb = "tries" if len(told) == 1 else "try"
    talk.print(f"{', '.join(told[:SHOWN])}{more} {verb} again what failed there, once, from the next pass and look on")


def _failed(store: "Store", platform: str, wave: str, role: str) -> list[str]:
    from gitops.workflows.question import fleet_of
    from gitops.workflows.turns.again import failed

    return failed(fleet_of(store, None, platform), store, wave=wave, role=role)
