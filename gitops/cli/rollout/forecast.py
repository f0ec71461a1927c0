"""`toweros forecast`: the last commits once more, under the rollout rules of today."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli.context import DirOption
from gitops.cli.output import Output, OutputOption, emit, table, talk

if TYPE_CHECKING:
    from gitops.workflows.turns.forecast import Forecast, Row

MOST = 5


def register(app: typer.Typer) -> None:
    app.command()(forecast)


def forecast(
    folder: DirOption = Path(),
    head: Annotated[str, typer.Option(help="The last of them.")] = "HEAD",
    commits: Annotated[int, typer.Option(min=1, max=1000, help="So many commits.")] = 20,
    update: Annotated[int, typer.Option(min=1, max=1440, help="Minutes from an offer until a box is Healthy.")] = 15,
    output: OutputOption = Output.table,
) -> None:
    """What the last commits of a clone would have done: packages, restarts, bytes, and when everybody had them."""
    from gitops.rollout.simulating.boxes import Habits
    from gitops.workflows.turns.forecast import forecast as of

    found = of(folder, head, commits, Habits(update=60 * update, spread=0, leases=False))
    rows = [asdict(row) for row in found.rows]
    said = {"rows": rows, "restarts": dict(found.restarts.most_common()), "together": found.together}
    said["floors"] = found.floors
    emit(said, output, lambda: _table(found))
    if output is Output.table:
        talk.print(f"{found.restarts.total()} restarts in all, at most {found.together} boxes away at once")
        often = ", ".join(f"{box} {number}" for box, number in found.restarts.most_common(MOST))
        talk.print(f"most often: {often or 'nobody'}")
        for name, boxes in found.floors.items():
            more = f" and {len(boxes) - MOST} more" if len(boxes) > MOST else ""
            who = f"{', '.join(boxes[:MOST])}{more}"
            talk.print(f"floor {name}: who is behind it restarts twice, first into it: {who}")


def _table(found: "Forecast") -> object:
    heads = ["COMMIT", "TIME (UTC)", "PACKAGES", "RESTARTS", "EACH FETCHES", "EVERYWHERE AFTER", "AT (UTC)"]
    return table(heads, [_cells(row) for row in found.rows])


def _cells(row: "Row") -> list[str]:
    from gitops.review.text import size

    time = _time(row.time)
    if row.mistakes:
        return [row.commit[:12], time, "", "", "", f"has mistakes: {row.mistakes.splitlines()[0]}", ""]
    took = "overtaken" if row.took is None else f"{row.took / 3600:.1f} h"
    numbers = [str(row.packages), str(row.boxes), size(row.fetch) if row.boxes else ""]
    return [row.commit[:12], time, *numbers, took if row.boxes else "", _time(row.done) if row.done else ""]


def _time(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return "no date"
