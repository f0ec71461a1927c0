"""`toweros status [BOX]`: what the first page of the update server says, from the store alone.

Trouble first. Which boxes: `--role`, `--site`, `--label`, `--health`...; `-w` draws it again; `--wait` ends when they
are as they should be.
"""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, talk
from gitops.cli.showing.choosing import (
    AgentOption,
    HealthOption,
    HeldOption,
    KernelOption,
    LabelOption,
    RevisionOption,
    RoleOption,
    SilentOption,
    SiteOption,
    SyncOption,
    TextOption,
    TroubleOption,
    labels,
)
from gitops.cli.showing.view import View
from gitops.cli.showing.waiting import TIMEOUT, Condition, TimeoutOption, WaitOption, wait
from gitops.cli.showing.watching import EVERY, EveryOption, WatchOption, watch
from gitops.errors import TowerosError
from gitops.rollout.choosing.choice import Choice
from gitops.rollout.unable import unable

SHOWN = 10
"""Names of boxes that a warning has."""


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    box: Annotated[str | None, typer.Argument(help="One box, with everything that is known of it.")] = None,
    role: RoleOption = None,
    site: SiteOption = None,
    label: LabelOption = None,
    revision: RevisionOption = None,
    health: HealthOption = None,
    sync: SyncOption = None,
    agent: AgentOption = None,
    kernel: KernelOption = None,
    held: HeldOption = False,
    silent: SilentOption = False,
    trouble: TroubleOption = False,
    text: TextOption = "",
    again: WatchOption = False,
    every: EveryOption = EVERY,
    until: WaitOption = None,
    timeout: TimeoutOption = TIMEOUT,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """How every box is, trouble first: what it should run, what it runs, sync and health."""
    choice = Choice(
        roles=tuple(role or ()), sites=tuple(site or ()), labels=labels(label or ()), revisions=tuple(revision or ()),
        healths=tuple(health or ()), syncs=tuple(sync or ()), agents=tuple(agent or ()), kernels=tuple(kernel or ()),
        held=held, silent=silent, troubled=trouble, text=text,
    )  # fmt: skip
    conditions = [Condition.of(word) for word in until or ()]
    if box and choice != Choice():
        raise TowerosError("name a box, or say which boxes", hint="`toweros status BOX` takes no --role, --site...")
    if conditions and choice.moves:
        hint = "with --wait: --role, --site, --label, --agent, --kernel, --text; running=REVISION is a condition"
        raise TowerosError("--wait is for boxes that stay the same while it waits", hint=hint)
    store, settings = context.known_store(config, state), context.settings(config, state)
    if cannot := unable(store, settings):
        names = ", ".join(cannot[:SHOWN]) + ("..." if len(cannot) > SHOWN else "")
        talk.print(f"{len(cannot)} boxes cannot fetch while `fetch` is boxes: their agents are too old: {names}")
    view = View(store, settings, box, choice)
    if conditions:
        wait(view.boxes, conditions, timeout)
    if again:
        watch(view.frame if output is Output.table else view.line, every)
    view.show(output)
