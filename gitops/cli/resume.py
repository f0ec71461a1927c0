"""`toweros resume`: take back what `toweros suspend` holds."""

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.cli.suspend import AllOption, BoxArgument, WhoOption, subject
from gitops.errors import TowerosError
from gitops.rollout import holds


def register(app: typer.Typer) -> None:
    app.command()(resume)


def resume(
    box: BoxArgument = None,
    everything: AllOption = False,
    who: WhoOption = "operator",
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Let a box, or the fleet, go on. What Git holds (`suspended:`) is let go by a commit."""
    name = subject(box, everything)
    if not holds.let_go(context.known_store(config, state), name, who):
        hint = "`toweros status` says who holds what; `suspended:` in Git is taken out by a commit"
        raise TowerosError(f"{name if box else 'the fleet'} is not held by `toweros suspend`", hint=hint)
    talk.print(f"{name if box else 'the fleet'} goes on with the next pass")
