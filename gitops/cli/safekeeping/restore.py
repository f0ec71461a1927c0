"""`toweros restore FILE`: a backup becomes the controller's state again; or, as a rehearsal, only seems to."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.audit.recorded import audited, by
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, coloured, emit, table, talk
from gitops.cli.showing.asking import YesOption, sure
from gitops.cli.showing.sheet import Cell
from gitops.errors import StoreError, TowerosError
from gitops.review.words import moment

if TYPE_CHECKING:
    from gitops.settings import Settings
    from gitops.store.notes.audited import AuditHead

COLOURS = {"ok": "green", "bad": "red", "lost": "yellow", "same": ""}


def register(app: typer.Typer) -> None:
    app.command()(audited("restore", "file", unless=("rehearse",), apart=True)(restore))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `toweros backup` made.")],
    replace: Annotated[bool, typer.Option("--replace", help="Over what is there, which is kept aside.")] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Though no key of ours has signed it: whoever made it is the controller.")
    ] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Into a temporary place; say what holds and what would be lost.")
    ] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """Put a backup where the settings say that the state is. Every byte is checked before anything is touched."""
    from gitops.workflows.safekeeping.restore import Restore

    settings = context.settings(config, state)
    if rehearse:
        return _rehearsed(settings, file, unsigned, output)
    if replace and settings.state.is_dir() and any(settings.state.iterdir()):
        sure(f"what {settings.state} has now counts no more; it is kept aside, in replaced-TIME there", yes)
    work = Restore(settings)
    head = work.take(file, replace=replace, now=int(time.time()), unsigned=unsigned)
    talk.print(f"{settings.state} is as it was at {moment(head.made)}, {head.revision or 'nothing deployed'}")
    talk.print(f"next: the newest keys in {settings.keys}; then `toweros apply` or `toweros run`")
    newer = "what is signed from now on is newer than all that boxes have seen"
    talk.print(f"{newer}; `toweros status` says which of them run what Git does not have")
    if work.audit_before:
        _say_audit(settings, work.audit_before)


def _say_audit(settings: "Settings", before: "AuditHead") -> None:
    """The new log has it, too."""
    from gitops.store.audit.log import AuditLog
    from gitops.store.files.layout import Layout
    from gitops.workflows.safekeeping.elsewhere import ELSEWHERE

    mark = f"{before.number}:{before.digest}"
    why = "the audit log of before is not on this machine; this one begins anew"
    AuditLog(Layout(settings.state).audit).note(by().act(ELSEWHERE, mark, why, int(time.time())))
    talk.print(
        f"the audit log begins anew here, and `toweros audit verify` holds at once; the one of before went to {mark}"
    )
    talk.print(f"an export of it is proven by `toweros audit verify FILE` with `--head {mark}`")


def _rehearsed(settings: "Settings", file: Path, unsigned: bool, output: Output) -> None:
    from gitops.workflows.safekeeping.rehearsal import Holds, Rehearsal

    live = None
    try:
        live = context.existing_store(settings)
    except StoreError as error:
        talk.say("warning:", "yellow", f"what is here is not compared: {error.message}")
    rows = Rehearsal(settings, live).of(file, int(time.time()), unsigned=unsigned)
    data = [{"what": row.what, "state": row.holds.value, "found": row.found} for row in rows]
    cells: list[list[Cell]] = [
        [row.what, coloured(row.holds.value, COLOURS[row.holds.value]), row.found] for row in rows
    ]
    emit(data, output, lambda: table(["WHAT", "STATE", "FOUND"], cells))
    if wrong := [row.what for row in rows if row.holds is Holds.no]:
        hint = "mend that, then `toweros backup` and rehearse again"
        raise TowerosError(f"this backup would not bring the controller back: {', '.join(wrong)}", hint=hint)
    talk.print("it was restored, looked at and thrown away: nothing here was touched")
