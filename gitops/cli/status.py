"""`toweros status [BOX]`: what the first page of the update server says, from the store alone."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gitops.cli import context
from gitops.cli.context import ConfigOption, StateOption
from gitops.cli.output import Output, OutputOption, emit, table, talk
from gitops.errors import StoreError
from gitops.model import Health, Sync
from gitops.review.words import ago, moment, short
from gitops.rollout.status import BoxStatus, FleetStatus, box_status, fleet_status
from gitops.workflows.enrolment.desk import coming, requests

if TYPE_CHECKING:
    from gitops.settings import Settings
    from gitops.store import Store

COLOURS: dict[str, str] = {
    Sync.SYNCED: "green",
    Health.HEALTHY: "green",
    Health.DEGRADED: "red",
    Health.MISSING: "red",
    Health.WIPED: "bold",
    Health.PROGRESSING: "blue",
}


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    box: Annotated[str | None, typer.Argument(help="One box, with everything that is known of it.")] = None,
    config: ConfigOption = None,
    state: StateOption = None,
    output: OutputOption = Output.table,
) -> None:
    """How every box is: what it should run, what it runs, sync and health."""
    store, now = context.store(config, state), int(time.time())
    if box is None:
        fleet = fleet_status(store, now)
        emit(fleet.as_json(), output, lambda: _table(fleet, now))
        _tell(fleet)
        for each in requests(store, now):
            words = f"asks to be {each.box}, with the key {each.fingerprint}: `toweros box enroll {each.box}`"
            talk.print(f"[yellow]somebody[/yellow] {words}")
        for newcomer in fleet.pending:
            how = newcomer.says or f"Pending: `toweros box adopt {newcomer.code} --name NAME`"
            talk.print(f"a machine with the medium of {newcomer.role} has the code {newcomer.code}; {_escape(how)}")
        for each in coming(store, now):
            words = f"is to have the key {each.fingerprint}, since {ago(each.first, now)}: its report ends the other"
            talk.print(f"{each.box} {words}; `toweros box enroll {each.box} --keep` forgets it")
        _tell_of_sites(store, context.settings(config, state), now)
        return
    row = box_status(store, box, now)
    if row is None:
        raise StoreError(f"there is no box {box}", hint="`toweros status` lists them")
    emit(row.as_json(), output, lambda: table(["", ""], _lines(row, now)))


def _table(fleet: FleetStatus, now: int) -> object:
    heads = ["BOX", "SYNC", "HEALTH", "WANTED", "RUNNING", "SINCE", "SAYS"]
    return table(heads, [_cells(row, now) for row in fleet.boxes]) if fleet.boxes else "No boxes yet."


def _tell_of_sites(store: "Store", settings: "Settings", now: int) -> None:
    """What each NOC of the settings said last."""
    from gitops.server.boxes.nocs import contacts  # with the server, which takes long to load

    for name, each in contacts(store, settings).items() if settings.nocs else ():
        said = f"heard {ago(each.seen, now)}: {_escape(each.says)}" if each else "was never heard"
        talk.print(f"NOC {name} {said}", soft_wrap=True)


def _cells(row: BoxStatus, now: int) -> list[str]:
    said = row.held or row.error or row.fell_back or (row.boot and f"boot {row.boot}")
    since = ago(row.since, now)
    plain = [short(row.wanted), short(row.running), since, said]
    return [row.box, _colour(row.sync), _colour(row.health), *(_escape(cell) for cell in plain)]


def _lines(row: BoxStatus, now: int) -> list[list[str]]:
    times = {"since": f"{moment(row.since)} ({ago(row.since, now)})", "seen": f"{moment(row.seen)}"}
    return [
        [name, _escape(times.get(name, str(value)))]
        for name, value in {**row.as_json(), "boot": row.boot}.items()
        if value
    ]


def _colour(word: str) -> str:
    return f"[{COLOURS[word]}]{word}[/]" if word in COLOURS else word


def _escape(text: str) -> str:
    """What a box says is data: no markup, no terminal escapes."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() or char == "\n" else "?" for char in text))


def _tell(fleet: FleetStatus) -> None:
    error, reason = fleet.controller.error, fleet.controller.reason
    if error and reason:
        talk.print(f"[red]Not verified:[/red] {_escape(f'{reason}: {error}')}")
    elif error:
        talk.print(f"[red]controller:[/red] {_escape(error)}")
    for warning in fleet.controller.warnings:
        talk.print(f"[red]controller:[/red] {_escape(warning)}", soft_wrap=True)
    for alarm in fleet.controller.alarms:
        talk.print(f"[red]Not verified:[/red] {_escape(str(alarm))}")
