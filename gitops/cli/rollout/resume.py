"""`toweros resume`: take back what `toweros suspend` holds."""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.cli.rollout.suspend import AllOption, BoxArgument, WhoOption, subject
from gitops.cli.showing.asking import YesOption
from gitops.cli.showing.choosing import LabelOption, RoleOption, SiteOption
from gitops.cli.showing.several import agreed, and_more, chosen


def register(app: typer.Typer) -> None:
    app.command()(resume)


def resume(
    box: BoxArgument = None,
    everything: AllOption = False,
    role: RoleOption = None,
    site: SiteOption = None,
    label: LabelOption = None,
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")] = "",
    yes: YesOption = False,
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Let a box, several, or the fleet, go on. What Git holds (`suspended:`) is let go by a commit."""
    from gitops.workflows.acting import boxes, several

    meant, why = chosen(role, site, label), " ".join(why.split())
    name = subject(box, everything, meant)
    store = context.known_store(config, state)
    if not meant:
        boxes.release(acting(store, who), name, why)
        return talk.print(f"{name if box else 'the fleet'} goes on with the next pass")
    names = agreed(store, meant, "let go", yes)
    done = several.release(acting(store, who), names, meant.words, why)
    and_more(done)
    beside = f"; {len(done.before)} had nobody to let them go" if done.before else ""
    talk.print(f"{several.boxes_in_words(len(done.new))} let go, from the next pass on{beside}")
