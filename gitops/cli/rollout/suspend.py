"""`toweros suspend`: hold a box, several, or the whole fleet, without a commit."""

from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.cli.showing.asking import YesOption
from gitops.cli.showing.choosing import LabelOption, RoleOption, SiteOption
from gitops.cli.showing.several import agreed, and_more, chosen
from gitops.errors import TowerosError
from gitops.rollout import holds

if TYPE_CHECKING:
    from gitops.rollout.choosing.several import Several

BoxArgument = Annotated[str | None, typer.Argument(metavar="BOX", help="The box; none with --all, --role, --site...")]
AllOption = Annotated[bool, typer.Option("--all", help="The whole fleet.")]
WhoOption = Annotated[str, typer.Option(envvar=["SUDO_USER", "USER"], help="Who holds it (default: your login).")]


def register(app: typer.Typer) -> None:
    app.command()(suspend)


def suspend(
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")],
    box: BoxArgument = None,
    everything: AllOption = False,
    role: RoleOption = None,
    site: SiteOption = None,
    label: LabelOption = None,
    yes: YesOption = False,
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Hold a box until `toweros resume`; or those of a role, a site, a label that there are now.

    From the next pass on it takes nothing new, nor what it was offered before; a trial that runs is finished.
    """
    from gitops.workflows.acting import boxes, several

    meant = chosen(role, site, label)
    name = subject(box, everything, meant)
    store = context.known_store(config, state)
    if not meant:
        boxes.hold(acting(store, who), name, why)
        way = f"toweros resume {box or '--all'}"
        return talk.print(f"{name if box else 'the fleet'} is held from the next pass on; `{way}` lets it go")
    names = agreed(store, meant, "held", yes)
    done = several.hold(acting(store, who), names, meant.words, why)
    and_more(done)
    held = several.boxes_in_words(len(done.new))
    talk.print(f"held from the next pass on: {held}; `toweros resume` with the same words lets them go")


def subject(box: str | None, everything: bool, meant: "Several") -> str:
    """The box, or `holds.ALL`; "": several. Raises TowerosError unless exactly one of the three was said."""
    if (box is not None) + everything + bool(meant) != 1:
        hint = "`toweros status` lists the boxes, and takes the same --role, --site, --label"
        raise TowerosError("name a box, or say which boxes (--role, --site, --label), or --all", hint=hint)
    return "" if meant else box or holds.ALL
