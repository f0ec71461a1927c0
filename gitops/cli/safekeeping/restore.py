"""`toweros restore FILE`: a backup becomes the controller's state again."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import talk
from gitops.cli.showing.asking import YesOption, sure
from gitops.review.words import moment


def register(app: typer.Typer) -> None:
    app.command()(audited("restore", "file", apart=True)(restore))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `toweros backup` made.")],
    replace: Annotated[bool, typer.Option("--replace", help="Over what is there, which is kept aside.")] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Though no key of ours has signed it: whoever made it is the controller.")
    ] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """Put a backup where the settings say that the state is. Every byte is checked before anything is touched."""
    from gitops.workflows.safekeeping.restore import Restore

    settings = context.settings(config, state)
    if replace and settings.state.is_dir() and any(settings.state.iterdir()):
        sure(f"what {settings.state} has now counts no more; it is kept aside, in replaced-TIME there", yes)
    head = Restore(settings).take(file, replace=replace, now=int(time.time()), unsigned=unsigned)
    talk.print(f"{settings.state} is as it was at {moment(head.made)}, {head.revision or 'nothing deployed'}")
    talk.print(f"next: the newest keys in {settings.keys}; then `toweros apply` or `toweros run`")
    newer = "what is signed from now on is newer than all that boxes have seen"
    talk.print(f"{newer}; `toweros status` says which of them run what Git does not have")
