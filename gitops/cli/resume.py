"""`toweros resume`: take back what `toweros suspend` holds."""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import acting
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.cli.suspend import AllOption, BoxArgument, WhoOption, subject
from gitops.workflows.acting import boxes


def register(app: typer.Typer) -> None:
    app.command()(resume)


def resume(
    box: BoxArgument = None,
    everything: AllOption = False,
    why: Annotated[str, typer.Option("--why", "-m", help="The reason; everybody sees it.")] = "",
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Let a box, or the fleet, go on. What Git holds (`suspended:`) is let go by a commit."""
    name = subject(box, everything)
    boxes.release(acting(context.known_store(config, state), who), name, " ".join(why.split()))
    talk.print(f"{name if box else 'the fleet'} goes on with the next pass")
