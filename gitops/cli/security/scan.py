"""`toweros scan [BOX|ROLE|PKG]`: which known vulnerabilities are inside, and which of them a newer version mends."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.model import Severity
from gitops.review.words import ago, moment

if TYPE_CHECKING:
    from gitops.workflows.security.scan import Row, Scan


def register(app: typer.Typer) -> None:
    app.command()(scan)


def scan(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[BOX|ROLE|PKG]", help="A box, a role, or a path such as pkg/sshd; else the whole fleet."
        ),
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("--dir", "-C", help="A working folder of the fleet repo (default: what is deployed).")
    ] = None,
    severity: Annotated[Severity, typer.Option(help="Leave out what is less severe than this.")] = Severity.unknown,
    fixable: Annotated[bool, typer.Option("--fixable", help="Only what a newer version mends.")] = False,
    output: OutputOption = Output.table,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """List the known vulnerabilities of what is inside, the worst first, and what nobody knows."""
    from gitops.workflows.security.scan import scanned  # what looks inside takes long to load

    settings, now = context.settings(config, state), int(time.time())
    store = context.store(config, state) if folder else context.known_store(config, state)
    found = scanned(store, settings, name, folder, now).of(severity, fixable=fixable)
    emit(found.as_json(), output, lambda: _table(found, now))
    if output is Output.table:
        _tell(found)


def _table(found: "Scan", now: int) -> object:
    heads = ["ADVISORY", "SEVERITY", "SOURCE", "VERSION", "FIXED IN", "SEEN", "STATE"]
    nothing = "Nothing is found, and not all is known." if found.gaps else "Nothing is found."
    nothing = f"{found.left_out} are left out." if found.left_out else nothing
    return table(heads, [_cells(row, now) for row in found.rows]) if found.rows else nothing


def _cells(row: "Row", now: int) -> list[str]:
    state = ", ".join(filter(None, (row.standing, row.decision, row.reason)))
    seen = f"{ago(row.seen, now)} ago" if row.seen else "now"
    return list((row.advisory, row.severity, row.source, row.version, row.fixed, seen, state))


def _tell(found: "Scan") -> None:
    """The sum, and what is not known, which is no less bad than what is."""
    counted = [row for row in found.rows if row.counted]
    mended = sum(bool(row.fixed) for row in counted)
    more = f", {found.left_out} left out" if found.left_out else ""
    talk.print(f"{len(counted)} open{more}; `toweros lock` would bring what fixes {mended} of them")
    if found.locks:
        talk.print("not all of it is built: this is what the locks say")
    for gap in found.gaps:
        since = f" since {moment(gap.since)}" if gap.since else ""
        talk.say(f"not known{since}:", "red", f"{gap.about}: {gap.why}")
