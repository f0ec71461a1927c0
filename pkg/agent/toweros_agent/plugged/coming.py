"""A stick, from when it is plugged in until it may be pulled out: what people are told, and the report that goes back.

In: the state of the agent, by its report. Out: words on the console, the screen and in the report; the signed report
in the place that the bundle keeps for it (`reports/BOX.json`), also on a stick that is refused: then it says why.
Rules: the report is written before anybody is told to pull the stick out; what is wrong with a stick is never trouble
for the box.

    TowerOS: the stick sdb: release 8 is copied: leave it in
    TowerOS: the stick sdb: done: release 8 runs: pull it out
"""

import time
from collections.abc import Callable
from dataclasses import replace

from toweros_agent.host.boot import DISK, Boot
from toweros_agent.joining.joining import say
from toweros_agent.machine import State
from toweros_agent.nouns import Refused
from toweros_agent.offer.carried import ASKED, Carried
from toweros_agent.offer.net import NetError
from toweros_agent.offer.update import Update
from toweros_agent.plugged.stick import Stick
from toweros_agent.plugged.sticks import Sticks
from toweros_agent.report import Report, Reporter
from toweros_agent.settings import Places

LOOK = 2.0
"""Seconds between two looks whether something was plugged in."""
SERVED = "the server is there, and it counts: of the stick only layers are used: pull it out when you like"
MOST_SHOWN = 1000
"""Characters of what is wrong with a stick: some of them are its own."""
Said = tuple[object, ...]


class Coming:
    """Of one boot. A box that has no disk of its own takes nothing from a stick."""

    def __init__(self, places: Places, boot: Boot, update: Update, reporter: Reporter) -> None:
        self._update, self._reporter = update, reporter
        self._consoles, self._log = (places.console, places.screen), update.history.log
        self._report: Report | None = None
        self._given: dict[Stick, Said] = {}
        self._said = ""
        if boot.place == DISK:
            sticks = Sticks(places.run / "sticks", update.http, self._log)
            folders = (places.run / "bundle", places.state / "bundle")
            update.http.carried = Carried(*folders, sticks=sticks, asked=update.disk.state / ASKED)

    @property
    def _sticks(self) -> list[Stick]:
        carried = self._update.http.carried
        return carried.sticks.all() if carried and carried.sticks else []

    def wait(self, seconds: float, pause: Callable[[float], None]) -> None:
        """Until then, or until something is plugged in or pulled out: while a box is tried or goes down, it waits."""
        carried, end = self._update.http.carried, time.monotonic() + seconds
        idle = self._report is not None and self._report.phase == State.IDLE
        while (left := end - time.monotonic()) > 0:
            if idle and carried and carried.sticks and carried.sticks.changed():
                return
            pause(min(left, LOOK))

    def told(self, report: Report) -> Report:
        """The report, with what becomes of the stick."""
        self._report = replace(report, bundle=self._words(report))
        return self._report

    def give(self) -> None:
        """What was told last, onto each stick, and to whoever stands before the box."""
        if not self._report:
            return
        sticks = [stick for stick in self._sticks if not stick.problem]
        self._given = {stick: said for stick, said in self._given.items() if stick in sticks}
        report = self._report
        said: Said = (report.phase, report.health, report.sequence, report.error, report.bundle)
        problems = [self._write(stick, report) for stick in sticks if self._given.get(stick) != said]
        self._given |= dict.fromkeys(sticks, said)
        if report.bundle != self._said:
            self._said = report.bundle
            self._show("; ".join(filter(None, [report.bundle, *problems])))

    def _write(self, stick: Stick, report: Report) -> str:
        """Why the report is not on the stick; "" when it is."""
        place = f"reports/{self._reporter.box}.json"
        try:
            if stick.size(place) is None:
                return f"{stick.name} has no place for this box's report"
            stick.write(place, self._reporter.envelope(self._reporter.text(report)))
            return ""
        except (NetError, Refused, OSError, ValueError) as error:
            return f"its report is not on the stick: {error}"

    def _show(self, words: str) -> None:
        if words:
            plain = "".join(each if each.isprintable() else "?" for each in words[:MOST_SHOWN])
            self._log(plain)
            for console in self._consoles:
                say(console, f"\r\nTowerOS: {plain}\r\n")

    def _words(self, report: Report) -> str:
        carried, update = self._update.http.carried, self._update
        sticks = [stick for stick in self._sticks if not stick.problem]
        if not carried or not sticks:
            return "; ".join(carried.troubles()) if carried else ""
        name = carried.chosen.name if carried.chosen in sticks and carried.chosen else sticks[0].name
        return f"{name}: {self._becomes(report, update, carried.chosen in sticks)}"

    def _becomes(self, report: Report, update: Update, chosen: bool) -> str:
        if report.phase not in (State.IDLE, State.WIPING):
            what = "copied" if report.phase in (State.FETCHING, State.STAGING) else "tried"
            coming = update.offered.sequence if update.offered else report.sequence
            return f"release {coming} is {what}: leave it in"
        if update.refusals:
            return f"refused: {update.refusals}"
        if update.served and not update.from_bundle:
            return SERVED
        if not chosen:
            return "it is looked at"
        return report.error or f"done: release {report.sequence} runs: pull it out"
