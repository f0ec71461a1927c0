"""`toweros apply`: one pass by hand."""

import time
from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table
from gitops.cli.showing.progress import shown
from gitops.controller import Controller
from gitops.store import Store
from gitops.store.notes.restored import RightClock
from gitops.workflows.journal import Pass


def register(app: typer.Typer) -> None:
    app.command()(apply)


def apply(
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
    right: Annotated[bool, typer.Option("--clock-is-right", help="Nothing was signed for a month; sign.")] = False,
) -> None:
    """Do one pass and say what was done."""
    settings = context.settings(config, state)
    store = Store.of(settings, migrate=True)
    with store.lease.held():
        if right:
            store.notes.put(RightClock(int(time.time())))
        with shown(store):
            done = Controller(settings, store).run_once()
    emit(done.as_json(), output, lambda: render(done))


def render(done: Pass) -> object:
    """One line per box that something was decided for, or `No changes.`"""
    rows = [[box, "published", str(done.revision)] for box in done.published]
    rows += [[box, "held", str(hold)] for box, hold in done.held.items()]
    return table(["BOX", "DONE", "WHY"], rows) if rows else "No changes."
