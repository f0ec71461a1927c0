"""`make demo`: a real box in QEMU takes a good commit, undoes a bad one, and the figures are printed.

In: an empty folder, or the one of the last demo. Out: what each commit came to; False unless the box did all of it.
Everything is real: a signed Git history, keys, the controller as a process of its own, a disk, a machine under Secure
Boot. What is unchanged since the last demo is reused.

The story: boot `demo-1` -> commit (a) another greeting: the box takes it -> commit (b) a greeting that the health check
does not accept: the box goes back by itself -> commit (c) reverts (b): nothing is left to do.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from gitops.lab.accelerator import Accelerator, accelerator
from gitops.lab.machine import Machine
from gitops.lab.setup import BOX, Setup
from gitops.lab.uptime import Uptime
from gitops.lab.watch import Watch, offered, runs, went_back
from gitops.settings import load
from gitops.store import Store

FIRST_RELEASE = 3000.0
"""Seconds until there is something to boot: downloads, all packages, all layers."""


@dataclass(frozen=True)
class Outcome:
    """What one commit came to. `fetched` is bytes, `seconds` from the commit to its verdict."""

    commit: str
    expected: str
    rebuilt: str
    fetched: int
    seconds: float
    downtime: float
    runs: str
    good: bool

    def __str__(self) -> str:
        """In the console's markup, for a terminal of 60 columns."""
        mark = "[green]ok[/]" if self.good else "[red]not as expected[/]"
        down = f", down for {self.downtime:.0f} s" if self.downtime else ""
        return "\n".join(
            (
                f"{self.commit[:8]}  {self.expected}: {mark}",
                f"  rebuilt   {escape(self.rebuilt)}",
                f"  fetched   {self.fetched:,} bytes",
                f"  verdict   after {self.seconds:.0f} s{down}",
                f"  runs now  {escape(self.runs)}",
            )
        )


class Demo:
    """One demo in one folder, told on a console."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.setup, self.console = Setup(folder), console

    def run(self) -> bool:
        """Tell the whole story. False when the box did not do what it should."""
        began, setup = time.monotonic(), self.setup
        setup.accelerator = accelerator(Accelerator.auto)
        self.console.print(f"the machine's code is run by {setup.accelerator}")
        self.prepare()
        watch = Watch(Store.of(load(setup.config), migrate=True), self.console, setup.logs)
        with setup.controller() as controller:
            head = setup.head()
            self.step(
                "controller: build, sign and publish the first release",
                lambda: watch.until(lambda: watch.carried_out(head), controller, FIRST_RELEASE),
            )
            if not setup.disk.exists():
                self.step("the box's disk", lambda: setup.toweros("box", "image", BOX, "--out", setup.disk))
            with setup.machine() as machine, Uptime(f"http://127.0.0.1:{setup.port('hello')}/") as uptime:
                self.step("power on, wait for a healthy report", lambda: watch.healthy(machine))
                started = time.monotonic() - began
                story = Story(self, watch, machine, uptime)
                outcomes = [story.take_good(), story.undo_bad(), story.revert()]
        self._print(outcomes, started)
        return all(outcome.good for outcome in outcomes)

    def prepare(self) -> None:
        """What is there before anything is built: a fleet, its keys, a controller's settings."""
        self.step("fleet repository, keys and settings", self.setup.prepare)
        self.step("locked files", self.lock_again)

    def lock_again(self) -> None:
        """What left the mirrors since this version was made is taken as it is there now."""
        if packages := self.setup.lock_again():
            self.console.print(f"  files left the mirrors; locked again in {self.setup.fleet}: {', '.join(packages)}")

    def step(self, what: str, work: Callable[[], object]) -> None:
        """Do a piece of work, and say how long it took."""
        began = time.monotonic()
        with self.console.status(what) if self.console.is_terminal else contextlib.nullcontext():
            self.console.print(f"[bold]{what}[/]")
            work()
        self.console.print(f"  done in {time.monotonic() - began:.1f} s")

    def _print(self, outcomes: list[Outcome], started: float) -> None:
        for outcome in outcomes:
            self.console.print(str(outcome))
        setup = self.setup
        self.console.print(f"first healthy box after {started:.0f} s; logs: {setup.logs}, {setup.folder / 'machine'}")
        self.console.print(f"page while it runs: http://127.0.0.1:{setup.port('server')}/")


@dataclass(frozen=True)
class Story:
    """The three commits, in order."""

    demo: Demo
    watch: Watch
    machine: Machine
    uptime: Uptime

    def take_good(self) -> Outcome:
        """(a) Another greeting."""
        self.demo.setup.greet(f"hello from TowerOS, take {self.watch.box().published.sequence}\n")
        commit, began = self.demo.setup.commit("A new greeting"), time.monotonic()

        def taken() -> None:
            self.watch.until(lambda: offered(self.watch.box(), commit), self.machine)
            self.watch.healthy(self.machine)

        self.demo.step("commit (a): another greeting", taken)
        return self._outcome(commit, "taken and kept", began, runs(self.watch.box(), commit))

    def undo_bad(self) -> Outcome:
        """(b) A greeting that the health check does not accept."""
        before = self.watch.box().running
        self.demo.setup.greet(f"goodbye, take {before.sequence}\n")  # what failed before is not offered again
        commit, began = self.demo.setup.commit("A bad greeting"), time.monotonic()

        def undone() -> bool:
            return went_back(self.watch.box(), commit, before.release)

        what = "commit (b): a greeting that the health check refuses"
        self.demo.step(what, lambda: self.watch.until(undone, self.machine))
        return self._outcome(commit, "undone by the box alone", began, undone())

    def revert(self) -> Outcome:
        """(c) `git revert`: the box runs that already."""
        before = self.watch.report()
        commit, began = self.demo.setup.revert(), time.monotonic()
        what = "commit (c): git revert"
        self.demo.step(what, lambda: self.watch.until(lambda: self.watch.carried_out(commit), self.machine))
        now = self.watch.report()
        good = self.watch.box().taken and bool(before and now and now.boot_id == before.boot_id)
        return self._outcome(commit, "nothing to do", began, good, rebooted=False)

    def _outcome(self, commit: str, expected: str, began: float, good: bool, *, rebooted: bool = True) -> Outcome:
        report, done = self.watch.report(), self.watch.result(commit)
        why = [f"{step.subject}: {step.reason}" for step in done.builds] if done else []
        layers = f"{done.layers} new layer{'s' * (done.layers != 1)}" if done else ""
        rebuilt = "; ".join([*why, layers]) if done else "nothing"
        downtime = self.uptime.since(began) if rebooted else 0.0
        fetched = int(report.fetched.get("bytes", 0)) if report and downtime else 0
        now = f"release {report.sequence}, {report.health}" if report else "unknown"
        return Outcome(commit, expected, rebuilt, fetched, time.monotonic() - began, downtime, now, good)
