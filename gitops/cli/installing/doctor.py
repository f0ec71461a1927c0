"""`toweros doctor`: does this machine have what it needs?"""

from typing import Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, coloured, emit, table, talk
from gitops.lab.accelerator import DEVICE, works
from gitops.workflows.installing.checks import State, examine, install
from gitops.workflows.installing.programs import Part

COLOURS = {State.ok: "green", State.warning: "yellow", State.bad: "red"}


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    part: Annotated[Part, typer.Option("--for", help="What this machine is for.")] = Part.controller,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Look at programs, disk, port, clock, database and settings; nothing is changed. Exit code 1: some are missing."""
    findings = examine(part, context.settings(config, state), lambda: DEVICE.exists() and works())
    rows = [{"check": f.what, "state": f.state.value, "found": f.found, "fix": f.fix} for f in findings]
    emit(
        rows,
        output,
        lambda: table(
            ["CHECK", "STATE", "FOUND"],
            [[f.what, coloured(f.state.value, COLOURS[f.state]), _words(f.found, f.fix)] for f in findings],
        ),
    )
    if line := install(findings):
        talk.say("install:", "yellow", line)
    if any(finding.state is State.bad for finding in findings):
        raise typer.Exit(1)


def _words(found: str, fix: str) -> str:
    return f"{found}: {fix}" if fix and not fix.startswith("apt-get") else found
