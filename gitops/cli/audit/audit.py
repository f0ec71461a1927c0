"""`toweros audit list`, `export`, `verify`: who changed what, and whether the log of it is whole (ADR 102)."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.cli.reaching.events import beginning
from gitops.errors import StoreError, TowerosError
from gitops.model import Json
from gitops.store.notes.audited import AuditHead

if TYPE_CHECKING:
    from gitops.settings import Settings
    from gitops.store.audit.chain import Line
    from gitops.store.audit.log import AuditLog

SinceOption = Annotated[
    str, typer.Option("--since", help="Not before: 30min, 2h, 7d, or 2026-11-29[T07:30[:00]] (UTC).")
]
HEADS = ["NUMBER", "TIME", "WHO", "FROM", "WHAT", "SUBJECT", "OUTCOME", "REASON"]
MOST = 100_000


class Format(StrEnum):
    """How lines leave."""

    jsonl = "jsonl"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Who changed what: every act, its reason and its outcome.", no_args_is_help=True)
    group.command("list")(show)
    group.command()(export)
    group.command()(verify)
    app.add_typer(group, name="audit")


def show(
    since: SinceOption = "",
    who: Annotated[str, typer.Option("--who", help="Only of this person.")] = "",
    what: Annotated[str, typer.Option("--what", help="Only acts that begin so: box, box.hold, login.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only of this box, wave, person.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="Counted from the newest.")] = 50,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """The newest acts, newest last."""
    first = beginning(since, int(datetime.now(UTC).timestamp()))
    settings = context.settings(config, state)
    log, _ = _log(settings)
    wanted = (
        (line, outcome)
        for line, outcome in log.newest()
        if line.act.time >= first
        and who in ("", line.act.who)
        and line.act.what.startswith(what)
        and subject in ("", line.act.subject)
    )
    rows = [_row(line, outcome) for line, outcome in islice(wanted, limit)][::-1]
    if not rows and (who or subject):
        _known(settings, log, who, subject)
    emit(rows, output, lambda: table(HEADS, [_cells(row) for row in rows]) if rows else "Nothing.")


def export(
    since: SinceOption = "",
    format_: Annotated[Format, typer.Option("--format", help="A line of JSON each, as it was written.")] = Format.jsonl,
    config: ConfigOption = None,
    state: StateOption = None,
) -> None:
    """All lines to stdout, oldest first, byte by byte as they are: `toweros audit verify FILE` checks them anywhere."""
    from gitops.store.audit.chain import LineError, parse

    first, begun = beginning(since, int(datetime.now(UTC).timestamp())), not since
    log, _ = _log(context.settings(config, state))
    for _, _, data in log.files.lines():
        if not begun:
            try:
                begun = parse(data.rstrip(b"\n")).act.time >= first
            except LineError:
                begun = True  # whoever changed it shall not hide it
        if begun:
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def verify(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="An export (default: the log here).")] = None,
    head: Annotated[
        str, typer.Option("--head", metavar="NUMBER:SHA256", help="A line that you noted: it has to be there.")
    ] = "",
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Whether a line was changed, put in or taken out. Note what it prints: it proves this log next time."""
    from gitops.store.audit.verified import verified

    known = [_noted(head)] if head else []
    if file:
        found = verified(_exported(file), known, part=True)
    else:
        log, remembered = _log(context.settings(config, state))
        found = verified(log.files.lines(), [*remembered, *known])
    data = {"first": found.first, "number": found.number, "digest": found.digest, "open": found.open}
    whole = f"lines {found.first} to {found.number} are whole; note the last one: {found.number}:{found.digest}"
    emit(
        data | {"wrong": found.wrong},
        output,
        lambda: whole if not found.wrong else f"head {found.number}:{found.digest}",
    )
    if found.open:
        talk.print(f"{found.open} acts go on, or were stopped: nobody wrote how they ended")
    for words in found.wrong:
        talk.say("wrong:", "red", words)
    if found.wrong:
        raise TowerosError("the audit log is not as it was written", hint="docs/audit.md")


def _log(settings: "Settings") -> "tuple[AuditLog, list[AuditHead]]":
    """The log of a state folder, and what the database remembers of it, where that can be asked."""
    from gitops.store.audit.log import AuditLog
    from gitops.store.files.layout import Layout

    if not settings.state.is_dir():
        hint = "name the controller's own with --state or --config"
        raise StoreError(f"{settings.state}: no state here", hint=hint)
    log = AuditLog(Layout(settings.state).audit)
    try:
        store = context.existing_store(settings)
        head = store.notes.get(AuditHead) if store else None
    except StoreError as error:
        talk.say("warning:", "yellow", f"what the database remembers is not compared: {error.message}")
        head = None
    return log, [head] if head else []


def _known(settings: "Settings", log: "AuditLog", who: str, subject: str) -> None:
    """Nothing is found: because of a name that nobody has? Raises TowerosError: so it is."""
    from gitops.cli.audit.unknown import known_subject, known_who

    store = None
    with suppress(StoreError):  # the log counts without it
        store = context.existing_store(settings)
    if who:
        known_who(log, store, who)
    if subject:
        known_subject(log, store, subject)


def _exported(file: Path) -> Iterator[tuple[Path, int, bytes]]:
    from gitops.store.audit.files import lines_of

    return ((file, number, data) for number, data in enumerate(lines_of(file), 1))


def _noted(text: str) -> AuditHead:
    number, _, digest = text.partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) < 16 and len(digest) == 64):
        raise TowerosError(f"--head {text[:90]!r} is none", hint="NUMBER:SHA256, as `toweros audit verify` prints it")
    return AuditHead(int(number), digest.lower())


def _row(line: "Line", outcome: str) -> Json:
    return {"number": line.number, **line.act.__dict__, "outcome": outcome}


def _cells(row: Json) -> list[str]:
    moment = f"{datetime.fromtimestamp(row['time'], UTC):%Y-%m-%d %H:%M:%S}"
    who = f"{row['who']} ({row['how']})"
    return [str(row["number"]), moment, who, row["address"], row["what"], row["subject"], row["outcome"], row["reason"]]
