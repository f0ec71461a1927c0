"""`toweros retry`: try again what failed, on a box or on several, when the cause was outside of the release."""

from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.cli.showing.asking import YesOption
from gitops.cli.showing.choosing import LabelOption, RoleOption, SiteOption
from gitops.cli.showing.several import and_more, ask, chosen, some
from gitops.errors import TowerosError
from gitops.workflows.acting.acting import reason

if TYPE_CHECKING:
    from gitops.rollout.choosing.several import Several
    from gitops.settings import Settings
    from gitops.store import Store

WhoOption = Annotated[str, typer.Option(envvar=["SUDO_USER", "USER"], help="Who says so (default: your login).")]
ONE = "name a box, or say --failed for all that failed, or which of them: --wave, --role, --site, --label"


def register(app: typer.Typer) -> None:
    app.command()(retry)


def retry(
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")],
    box: Annotated[str, typer.Argument(metavar="[BOX]", help="The box.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="All boxes that failed on what they are to run.")] = False,
    wave: Annotated[str, typer.Option(help="Those that failed of this wave alone.")] = "",
    role: RoleOption = None,
    site: SiteOption = None,
    label: LabelOption = None,
    yes: YesOption = False,
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Try once more what failed on a box. (In Git: `retry:`, whose every new text counts once.)"""
    from gitops.workflows.acting import boxes, several

    meant = chosen(role, site, label)
    if bool(box) == bool(failed or wave or meant):
        raise TowerosError("which boxes are meant is not clear", hint=ONE)
    settings, store = context.settings(config, state), context.known_store(config, state)
    if box and store.states.one(box) is None:
        raise TowerosError(f"there is no box {box}", hint="`toweros status` lists them")
    why = reason(why, hint="say with --why what was outside of the release")
    if box:
        boxes.retry(acting(store, who), box, why)
        return _told([box])
    names = _failed(settings, store, wave, meant)
    words = " ".join(filter(None, ("failed", f"wave={wave}" * bool(wave), meant.words)))
    ask(names, f"({words})", "told to try again", yes)
    done = several.retry(acting(store, who), names, words, why)
    and_more(done)
    if told := [*done.new, *done.before]:
        return _told(told)
    raise next(iter(done.refused.values()))


def _told(boxes: list[str]) -> None:
    verb = "tries" if len(boxes) == 1 else "try"
    talk.print(f"{some(boxes)} {verb} again what failed there, once, from the next pass and look on")


def _failed(settings: "Settings", store: "Store", wave: str, meant: "Several") -> list[str]:
    """Raises TowerosError: none failed, or none is meant."""
    from gitops.rollout.places import places
    from gitops.workflows.question import fleet_of
    from gitops.workflows.turns.again import failed

    found = failed(fleet_of(store, None, settings.platform), store, wave=wave)
    if meant:
        among = {*meant.of(places(store))}
        found = [box for box in found if box in among]
    if not found:
        raise TowerosError("no box failed", hint="`toweros status` says how each of them is")
    return found
