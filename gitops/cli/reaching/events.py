"""`toweros events [BOX]`: what happened, newest last; `-f` goes on.

In: the store. Out: rows; with `-f`, a line each as it comes (with `-o json`, a line of JSON). Rules: nothing is told
twice, and nothing is left out that the store still has.
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, console, emit, table
from gitops.cli.showing.watching import pause, put
from gitops.errors import TowerosError
from gitops.model import Event
from gitops.review.words import moment
from gitops.store.history.events import KEPT, Wanted

if TYPE_CHECKING:
    from gitops.store import Store

LOOK = 1.0
"""Seconds between two looks."""
AGAIN = 100
"""Numbers that are looked at again."""
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
CONTROLLER = "controller"
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come, until Ctrl-C.")]


def register(app: typer.Typer) -> None:
    app.command()(events)


def events(
    box: Annotated[str | None, typer.Argument(metavar="[BOX]", help="Only this box.")] = None,
    boxes: Annotated[list[str] | None, typer.Option("--box", help="Only this box, or `controller`; repeat it.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Normal, Warning, or a reason such as FellBack; repeat it.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Not before: 30min, 2h, 7d, or 2026-11-29[T07:30[:00]] (UTC).")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=KEPT, help="Counted from the newest.")] = 50,
    follow: FollowOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """What happened to the fleet or to one box."""
    names = tuple("" if name == CONTROLLER else name for name in ([box] if box else []) + (boxes or []))
    wanted = Wanted(names, kinds=tuple(kind or ()), since=beginning(since, int(time.time())))
    store = context.known_store(config, state)
    if follow:
        _follow(store, wanted, limit, output)
    rows = [event for _, event in reversed(store.events.of(wanted, limit))]
    emit([dict(row.__dict__) for row in rows], output, lambda: table(HEADS, [_cells(row) for row in rows]))


HEADS = ["TIME", "BOX", "TYPE", "REASON", "MESSAGE"]


def _cells(event: Event) -> list[str]:
    return [moment(event.time), event.box, str(event.type), event.reason, event.message]


def _follow(store: "Store", wanted: Wanted, limit: int, output: Output) -> None:
    """Until interrupted, or until nobody reads."""
    for event in new(store, wanted, limit):
        if output is Output.json:
            put(json.dumps(event.__dict__, ensure_ascii=False) + "\n")
        else:
            time_, *words, message = _cells(event)
            console.print(f"{time_}  {'  '.join(filter(None, words))}  {message}")
            put("")


def new(store: "Store", wanted: Wanted, limit: int) -> Iterator[Event]:
    """The last `limit` events, and then each as it comes, once. With PostgreSQL one may be seen before another of a
    lower number: the last numbers are looked at again."""
    rows = store.events.of(wanted, max(limit, AGAIN))[::-1]
    seen = dict(rows)
    yield from (event for _, event in rows[-limit:])
    while True:
        pause(LOOK)
        last = max(seen, default=0)
        rows = store.events.of(replace(wanted, after=max(last - AGAIN, 0)), KEPT)[::-1]
        yield from (event for number, event in rows if number not in seen)
        seen = dict(rows)


def beginning(since: str, now: int) -> int:
    """Unix seconds. Raises TowerosError: that is no time."""
    if not since:
        return 0
    if found := re.fullmatch(r"([0-9]{1,6})(s|m|min|h|d|w)", since):
        return max(now - int(found[1]) * UNITS[found[2]], 0)
    try:
        moment_ = datetime.fromisoformat(since[:40])
        return max(int((moment_ if moment_.tzinfo else moment_.replace(tzinfo=UTC)).timestamp()), 0)
    except (ValueError, OverflowError):
        hint = "30min, 2h, 7d, or a date as 2026-11-29 or 2026-11-29T07:30 (UTC)"
        raise TowerosError(f"--since {since[:40]!r} is no time", hint=hint) from None
