"""`toweros logs BOX [SERVICE]`: what a box's reports carry of its logs.

In: the last report of a box that the store has. Out: what went wrong, with the last lines of each release that it went
back from. Rules: nobody connects to the box; it sends no whole logs, and how to read those on the box is said. With
`-f`, each report's news, as they come.

    site-7: 2026-11-29 21:04:10 UTC  release 8: failed: hello: connection refused
    site-7: cannot bind
"""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, console, emit, talk
from gitops.cli.reaching.events import LOOK, FollowOption
from gitops.cli.showing.watching import pause, put
from gitops.errors import StoreError, TowerosError
from gitops.model import Json, Report
from gitops.review.words import ago, moment

if TYPE_CHECKING:
    from gitops.store import Store


def register(app: typer.Typer) -> None:
    app.command()(logs)


def logs(
    box: Annotated[str, typer.Argument(metavar="BOX", help="The box.")],
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only lines that name this service.")] = "",
    follow: FollowOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """What a box reported of its logs: why it went back, with the last lines; checks, resets, what is degraded."""
    store = context.known_store(config, state)
    report, received = _last(store, box)
    rows = list(lines(report, service)) if report else []
    if not follow:
        emit(rows, output, lambda: "\n".join(map(_line, rows)) if rows else "Its report has nothing of it.")
    _tell(box, service, received)
    if follow:
        _follow(store, box, service, output)


def _last(store: "Store", box: str) -> tuple[Report | None, int]:
    state = store.states.one(box)
    if state is None:
        raise StoreError(f"there is no box {box}", hint="`toweros status` lists them")
    return store.boxes.report(box), state.received


def _tell(box: str, service: str, received: int) -> None:
    """Where these bytes come from, and where there are more."""
    heard = f"as {box} reported it {ago(received, int(time.time()))} ago" if received else f"{box} never reported"
    whole = f"toweros box ssh {box} -- tail -n 100 /var/log/{service or 'NAME'}.log"
    talk.print(f"{heard}; reports carry the last lines of what failed. All of it is on the box: `{whole}`")


def lines(report: Report, service: str = "") -> Iterator[Json]:
    """Time (Unix seconds, 0: unknown), what it is about, and one line. `service`: only what names it."""
    found = [
        *(_of_failure(failure.time, f"release {failure.sequence}", f"{failure.verdict}: {failure.reason}", failure.log)
          for failure in report.failures),
        *([row(each.time, f"release {each.sequence}", f"the watchdog reset it; it was doing: {each.doing}")]
          for each in report.resets),
        [row(report.time, "degraded", text) for text in report.degraded],
        [row(report.time, "offer", report.error)] if report.error else [],
        [row(report.time, f"check {name}", words) for name, words in map(_check, report.checks) if words],
    ]  # fmt: skip
    for rows in found:
        if not service or any(service in f"{each['about']} {each['line']}" for each in rows):
            yield from rows


def row(time_: int, about: str, line: str) -> Json:
    return {"time": time_, "about": about, "line": line}


def _of_failure(time_: int, about: str, reason: str, log: str) -> list[Json]:
    return [row(time_, about, reason), *(row(time_, about, line) for line in log.splitlines())]


def _check(check: Mapping[str, object]) -> tuple[str, str]:
    """Its name, and what it says when it says no."""
    name = str(check.get("name", "?"))
    return name, "" if check.get("ok", True) else str(check.get("message") or "not healthy")


def _line(each: Json) -> str:
    return "  ".join(filter(None, (moment(each["time"]), each["about"], each["line"])))


def _follow(store: "Store", box: str, service: str, output: Output) -> None:
    """What is new in each report. Ends when interrupted, or when nobody reads."""
    if output is not Output.table:
        raise TowerosError("--follow prints lines", hint="leave -o out")
    seen = list[str]()
    while True:
        report = store.boxes.report(box)
        said = [_line(each) for each in lines(report, service)] if report else []
        for line in said:
            if line not in seen:
                console.print(line)
        put("")
        seen = said
        pause(LOOK)
