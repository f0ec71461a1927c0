"""What the demo sees: the store's events as they come, and its box at one moment.

watch = Watch(store, console, logs)
watch.until(lambda: offered(watch.box(), commit), machine)
"""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gitops.errors import TowerosError
from gitops.lab.machine import Machine
from gitops.lab.setup import BOX
from gitops.model import BoxState, EventType, Health, Phase, Report, Verdict
from gitops.process import Background
from gitops.store import Store
from gitops.store.notes.documents import PassResult, Planned

VERDICT = 900.0
"""Seconds from a commit to its end: build, download, boots under emulation, probation."""
PAUSE = 0.5
"""Seconds between two looks at the store."""
EVENTS = 1000


def offered(box: BoxState, commit: str) -> bool:
    """Whether it is offered the release of a commit."""
    return box.published.revision.endswith(f"@sha1:{commit}")


def runs(box: BoxState, commit: str) -> bool:
    """Whether it runs the very release of a commit."""
    return bool(box.received) and offered(box, commit) and box.running.release == box.published.release


def went_back(box: BoxState, commit: str, release: str) -> bool:
    """Whether it tried a commit, says that it failed, and runs `release` again, Healthy."""
    failed = {failure.release for failure in box.failures if failure.verdict == Verdict.FAILED}
    tried = offered(box, commit) and box.published.release in failed
    back = box.running.release == release and box.phase == Phase.IDLE
    return tried and back and box.reported == Health.HEALTHY


class Watch:
    """The store, looked at until something is so; every new event is printed meanwhile."""

    def __init__(self, store: Store, console: Console, logs: Path) -> None:
        self._store, self._console, self._logs = store, console, logs
        self._printed = len(store.events.latest(limit=EVENTS))

    def box(self) -> BoxState:
        return self._store.states.one(BOX) or BoxState(BOX)

    def report(self) -> Report | None:
        """The box's last one, with what is shown of a single box only."""
        return self._store.boxes.report(BOX)

    def carried_out(self, commit: str) -> bool:
        """Whether the controller did all that a commit asks for."""
        return (self._store.notes.get(Planned) or Planned()).commit == commit

    def result(self, commit: str) -> PassResult | None:
        """What the controller did to carry it out; None when there was nothing to do."""
        return self._store.notes.get(PassResult, commit)

    def healthy(self, machine: Machine) -> None:
        """Wait for a report of this boot that says that all is well."""
        began = int(time.time())
        self.until(lambda: self.box().received >= began and self.box().settled, machine)

    def until(self, done: Callable[[], bool], worker: Machine | Background, seconds: float = VERDICT) -> None:
        """Wait for `done`, as long as the worker runs.

        Raises:
            TowerosError: the time is over, or the worker ended.
        """
        deadline = time.monotonic() + seconds
        who = "the box" if isinstance(worker, Machine) else "the controller"
        while not done():
            self._print_new()
            if not worker.running:
                raise TowerosError(f"{who} ended", hint=f"the logs are in {self._logs} and {self._logs.parent}/machine")
            if time.monotonic() > deadline:
                raise TowerosError(f"{who} was not ready within {seconds:.0f} s", hint=f"the logs are in {self._logs}")
            time.sleep(PAUSE)
        self._print_new()

    def _print_new(self) -> None:
        events = self._store.events.latest(limit=EVENTS)
        for event in reversed(events[: len(events) - self._printed]):
            style = "yellow" if event.type == EventType.WARNING else "dim"
            self._console.print(Text(f"    {event.box or 'controller'}: {event.reason}: {event.message}", style=style))
        self._printed = len(events)
