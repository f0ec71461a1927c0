"""How boxes are, as people and programs see it: one of them, or those that are chosen, the most troubled first.

view = View(store, settings, None, Choice(held=True))
view.show(Output.table)         # once
watch(view.frame, every=2)      # again and again
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gitops.cli.output import Output, coloured, emit, table, talk
from gitops.cli.showing.sheet import Cell
from gitops.cli.showing.words import plain, printable
from gitops.errors import StoreError
from gitops.model import Health, Json, Sync
from gitops.publish.deltas.figures import figures
from gitops.review.words import ago, moment, short
from gitops.rollout.choosing.choice import Choice
from gitops.rollout.choosing.known import known
from gitops.rollout.choosing.trouble import trouble, why
from gitops.rollout.choosing.unheard import unheard
from gitops.rollout.facts import lines
from gitops.rollout.leases.told import words as permitted
from gitops.rollout.status import BoxStatus, FleetStatus, box_status, fleet_status, said_of
from gitops.workflows.elsewhere.told import copies
from gitops.workflows.enrolment.desk import coming, requests

if TYPE_CHECKING:
    from rich.text import Text

    from gitops.settings import Settings
    from gitops.store import Store

COLOURS: dict[str, str] = {
    Sync.SYNCED: "green",
    Health.HEALTHY: "green",
    Health.DEGRADED: "red",
    Health.LATE: "yellow",
    Health.MISSING: "red",
    Health.WIPED: "bold",
    Health.PROGRESSING: "blue",
}
Said = tuple[str, str, str]
"""A word of ours, its colour, and what there is to say."""


@dataclass(frozen=True)
class View:
    """What is looked at: one box, or those that are chosen."""

    store: "Store"
    settings: "Settings"
    box: str | None
    choice: Choice

    def boxes(self) -> list[BoxStatus]:
        """Trouble first."""
        now = int(time.time())
        return [self._one(now)] if self.box else self._chosen(fleet_status(self.store, now))

    def show(self, output: Output) -> None:
        """Once; what else there is to say goes to stderr."""
        now = int(time.time())
        if self.box:
            row, facts = self._told(now)
            emit(row.as_json() | facts, output, lambda: table(["", ""], _lines(row, facts, now)))
            return
        fleet = fleet_status(self.store, now)
        chosen = self._chosen(fleet)
        emit(self._json(fleet, chosen), output, lambda: self._table(fleet, chosen, now))
        for said in self._said(fleet, chosen, now):
            talk.say(*said)

    def frame(self) -> list[object]:
        """As a watcher sees it: everything in one place."""
        now = int(time.time())
        if self.box:
            return [table(["", ""], _lines(*self._told(now), now))]
        fleet = fleet_status(self.store, now)
        chosen = self._chosen(fleet)
        said = [coloured(head, style).append(f" {printable(words)}", "not bold") for head, style, words in
                self._said(fleet, chosen, now)]  # fmt: skip
        return [*said, self._table(fleet, chosen, now)]

    def line(self) -> list[object]:
        """As a program reads it: each change is one line of JSON."""
        now = int(time.time())
        if self.box:
            row, facts = self._told(now)
            return [json.dumps(row.as_json() | facts, ensure_ascii=False)]
        fleet = fleet_status(self.store, now)
        return [json.dumps(self._json(fleet, self._chosen(fleet)), ensure_ascii=False)]

    def _one(self, now: int) -> BoxStatus:
        row = box_status(self.store, self.box or "", now)
        if row is None:
            raise StoreError(f"there is no box {self.box}", hint="`toweros status` lists them")
        return row

    def _told(self, now: int) -> tuple[BoxStatus, Json]:
        """One box, and what it said beside its row; of a silent one, whether its site is."""
        row = self._one(now)
        silent = unheard(self.store, row, now)
        return row, said_of(self.store, row.box) | ({"unheard": silent.as_json()} if silent else {})

    def _table(self, fleet: FleetStatus, rows: list[BoxStatus], now: int) -> object:
        heads = ["BOX", "SYNC", "HEALTH", "WANTED", "RUNNING", "SINCE", "SAYS"]
        said = why(self.store, [row.box for row in rows if row.health == Health.DEGRADED])
        nobody = "No box of these." if fleet.boxes else "No boxes yet."
        return table(heads, [_cells(row, said.get(row.box, ""), now) for row in rows]) if rows else nobody

    def _chosen(self, fleet: FleetStatus) -> list[BoxStatus]:
        return [each.status for each in self.choice.of(known(self.store, fleet))]

    def _json(self, fleet: FleetStatus, chosen: list[BoxStatus]) -> Json:
        return fleet.as_json() | {"boxes": [row.as_json() for row in chosen]}

    def _said(self, fleet: FleetStatus, chosen: list[BoxStatus], now: int) -> Iterator[Said]:
        if fleet.boxes:
            there = f"{len(chosen)} of {len(fleet.boxes)}" if self.choice != Choice() else str(len(chosen))
            yield there, "", f"{'box' if there == '1' else 'boxes'}: {_numbers(chosen)}"
        yield from _of_controller(fleet)
        if (known := figures(self.store, now)).count or known.waiting:
            yield "deltas:", "", str(known)
        for each in requests(self.store, now):
            words = f"asks to be {each.box}, with the key {each.fingerprint}: `toweros box enroll {each.box}`"
            yield "somebody", "yellow", words
        for newcomer in fleet.pending:
            how = newcomer.says or f"Pending: `toweros box adopt {newcomer.code} --name NAME`"
            yield "a machine", "", f"with the medium of {newcomer.role} has the code {newcomer.code}; {how}"
        for one in coming(self.store, now):
            words = f"is to have the key {one.fingerprint}, since {ago(one.first, now)}: its report ends the other"
            yield one.box, "", f"{words}; `toweros box enroll {one.box} --keep` forgets it"
        yield from _of_sites(self.store, self.settings, now)
        yield from _of_places(self.store, self.settings, now)


def _numbers(rows: list[BoxStatus]) -> str:
    """How many are how: what a terminal shows below them, however many scrolled by."""
    healths = Counter(row.health for row in rows)
    words = [f"{healths[health]} {health}" for health in Health if healths[health]]
    behind = sum(row.sync == Sync.OUT_OF_SYNC for row in rows)
    troubled = sum(bool(trouble(row)) for row in rows)
    words += [f"{behind} {Sync.OUT_OF_SYNC}"] * bool(behind)
    words += [f"{troubled} in trouble (--trouble: these alone)"] * bool(troubled)
    return ", ".join(words) or "none of these"


def _of_sites(store: "Store", settings: "Settings", now: int) -> Iterator[Said]:
    """What each NOC of the settings said last."""
    from gitops.server.boxes.nocs import contacts  # with the server, which takes long to load

    for name, each in contacts(store, settings).items() if settings.nocs else ():
        yield f"NOC {name}", "", f"heard {ago(each.seen, now)}: {each.says}" if each else "was never heard"


def _of_places(store: "Store", settings: "Settings", now: int) -> Iterator[Said]:
    """Where else is published."""
    for name, each in copies(store, settings).items():
        if each.error:
            yield f"publish {name}:", "red", f"{each.error} (for {ago(each.since, now)})"
        else:
            yield f"publish {name}:", "", f"whole {ago(each.done, now)} ago" if each.done else "nothing yet"


def _cells(row: BoxStatus, degraded: str, now: int) -> list[Cell]:
    """`degraded`: why it is, in its own words."""
    waits = "; ".join(filter(None, (row.held, str(row.turn or ""))))
    seldom = "; ".join(filter(None, (row.boot and f"boot {row.boot}", _came(row))))
    silent = f"silent for {ago(row.seen, now)}" if row.health == Health.MISSING else ""
    said = "; ".join(filter(None, (silent, degraded, waits or row.error or row.fell_back))) or seldom
    states = [_colour(row.sync), _colour(row.health)]
    return [row.box, *states, short(row.wanted), short(row.running), ago(row.since, now), said]


def _came(row: BoxStatus) -> str:
    """Who brought what it runs, where that was not the server."""
    words = {"bundle": "a bundle", "noc": "its site's server"}
    return f"its last update came by {' and '.join(words.get(each, each) for each in row.came)}" if row.came else ""


def _lines(row: BoxStatus, facts: Json, now: int) -> list[list[Cell]]:
    """The row, and what the box says of itself; its addresses are among its links."""
    said = lines(facts.get("facts", {}), facts.get("uptime", 0))
    words = {
        "since": f"{moment(row.since)} ({ago(row.since, now)})", "boot": row.boot,
        "seen": f"{moment(row.seen)} ({ago(row.seen, now)})" if row.seen else "never",
        "degraded": "\n".join(facts.get("degraded", ())), "came": _came(row), "turn": str(row.turn or ""),
        "was at": _was_at(row, now) if "unheard" in facts else "",
        "its site": facts.get("unheard", {}).get("says", ""),
        "may restart": permitted(facts.get("permission", {}), now),
        "addresses": "" if said else ", ".join(row.addresses),
    }  # fmt: skip
    cells = {**row.as_json(), **words, **dict(said)}
    return [[name, str(value)] for name, value in cells.items() if value]


def _was_at(row: BoxStatus, now: int) -> str:
    """The last addresses that it said, and how old that word is."""
    return f"{', '.join(row.addresses) or 'no address that it said'}, {ago(row.seen, now)} ago"


def _colour(word: str) -> "Text":
    return coloured(word, COLOURS[word]) if word in COLOURS else plain(word)


def _of_controller(fleet: FleetStatus) -> Iterator[Said]:
    error, reason = fleet.controller.error, fleet.controller.reason
    if error and reason:
        yield "Not verified:", "red", f"{reason}: {error}"
    elif error:
        yield "controller:", "red", error
    for warning in fleet.controller.warnings:
        yield "controller:", "red", warning
    for alarm in fleet.controller.alarms:
        yield "Not verified:", "red", str(alarm)
