"""`toweros suspend`: hold a box, or the whole fleet, without a commit."""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.errors import TowerosError
from gitops.rollout import holds
from gitops.workflows.acting import boxes

BoxArgument = Annotated[str | None, typer.Argument(metavar="BOX", help="The box; none with --all.")]
AllOption = Annotated[bool, typer.Option("--all", help="The whole fleet.")]
WhoOption = Annotated[str, typer.Option(envvar=["SUDO_USER", "USER"], help="Who holds it (default: your login).")]


def register(app: typer.Typer) -> None:
    app.command()(suspend)


def suspend(
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")],
    box: BoxArgument = None,
    everything: AllOption = False,
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Hold a box until `toweros resume`.

    From the next pass on it takes nothing new, nor what it was offered before; a trial that runs is finished.
    """
    name = subject(box, everything)
    boxes.hold(acting(context.known_store(config, state), who), name, why)
    way = f"toweros resume {box or '--all'}"
    talk.print(f"{name if box else 'the fleet'} is held from the next pass on; `{way}` lets it go")


def subject(box: str | None, everything: bool) -> str:
    """The box, or `holds.ALL`. Raises TowerosError unless exactly one was named."""
    if (box is None) == (not everything):
        raise TowerosError("name a box, or say --all", hint="`toweros status` lists the boxes")
    return box or holds.ALL
