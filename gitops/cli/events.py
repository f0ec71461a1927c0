"""`toweros events [BOX]`: what happened, newest last."""

from typing import Annotated

import typer
from rich.markup import escape

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table
from gitops.review.words import moment


def register(app: typer.Typer) -> None:
    app.command()(events)


def events(
    box: Annotated[str | None, typer.Argument(help="Only this box.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many, counted from the newest.")] = 50,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """What happened to the fleet or to one box."""
    rows = [dict(event.__dict__) for event in reversed(context.store(config, state).events.latest(box, limit))]
    names = ("box", "type", "reason", "message")
    cells = [[moment(row["time"]), *(escape(str(row[name])) for name in names)] for row in rows]
    emit(rows, output, lambda: table(["TIME", "BOX", "TYPE", "REASON", "MESSAGE"], cells))
