"""`toweros apply`: one pass by hand."""

import time
from typing import Annotated

import typer

from gitops.cli import context, plan
from gitops.cli.audit.recorded import audited
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.showing.asking import would
from gitops.cli.showing.progress import shown
from gitops.controller import Controller
from gitops.store import Store
from gitops.store.notes.restored import RightClock
from gitops.workflows.elsewhere.told import copies
from gitops.workflows.journal import Pass

ELSEWHERE = 900.0
"""Seconds for the places where else is published."""


def register(app: typer.Typer) -> None:
    app.command()(audited("apply", unless=("dry",))(apply))


def apply(
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what a pass would do, and do nothing.")] = False,
    right: Annotated[bool, typer.Option("--clock-is-right", help="Nothing was signed for a month; sign.")] = False,
) -> None:
    """Do one pass and say what was done."""
    if dry:
        plan.show(output=plan.PlanOutput(output.value), config=config, state=state)
        return would("what the plan says")
    settings = context.controllers(config, state)
    store = Store.of(settings, migrate=True)
    with store.lease.held():
        if right:
            store.notes.put(RightClock(int(time.time())))
        with shown(store):
            controller = Controller(settings, store)
            done = controller.run_once()
            late = controller.elsewhere.wait(ELSEWHERE)
        for name, each in copies(store, settings).items():
            if each.error or name in late:
                talk.say(f"publish {name}:", "red", each.error or "it takes long; the next pass goes on")
    emit(done.as_json(), output, lambda: render(done))


def render(done: Pass) -> object:
    """One line per box that something was decided for, or `No changes.`"""
    rows = [[box, "published", str(done.revision)] for box in done.published]
    rows += [[box, "held", str(hold)] for box, hold in done.held.items()]
    return table(["BOX", "DONE", "WHY"], rows) if rows else "No changes."
