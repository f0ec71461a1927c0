"""The loop: one method per state, and the deadlines of the process.

`step` does what the state asks and moves on by a named transition (machine.py); decisions are in rules.py. Whatever
goes wrong on the way to a new release ends in `refuse`: the box stays as it was and the report names the reason.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from toweros_agent import rules
from toweros_agent.condition import Condition
from toweros_agent.health import MARGIN, PATIENCE, Surroundings, System, onboot_failures
from toweros_agent.history import History
from toweros_agent.host.disk import Disk
from toweros_agent.host.esp import Esp
from toweros_agent.host.watchdog import Watchdog
from toweros_agent.machine import Event, State, after
from toweros_agent.nouns import Boot, Refused, Release, Staged, Verdict
from toweros_agent.offer.fetch import Fetcher
from toweros_agent.offer.net import TIMEOUT, TRIAL_TIMEOUT, Http, NetError
from toweros_agent.offer.provenance import Provenance
from toweros_agent.offer.trust import Trust
from toweros_agent.offer.update import Update
from toweros_agent.report import CheckRow, FailureRow, Health, Report, Reporter
from toweros_agent.settings import Places, load
from toweros_agent.upkeep import Upkeep

MAX_STRETCH = 8
"""An offer that was refused is looked at again after the poll interval, stretched up to so many times."""
REBOOT_SECONDS = 180.0
"""How long onshutdown may take before the watchdog is left to reset the box."""
SLICE = 5.0
SETTLED = (State.IDLE, State.FETCHING, State.STAGING)


class Agent:
    """The agent of one boot."""

    def __init__(self, places: Places, surroundings: Surroundings, reboot: Callable[[], None]) -> None:
        self.places, self.reboot = places, reboot
        self.boot = Boot.parse((places.run / "boot.json").read_bytes())
        self.running = Release.parse((places.run / "release.json").read_bytes())
        self.settings = load(places, self.boot.server)
        self.disk, self.esp = Disk(places.run / "disk"), Esp(places.run / "esp")
        self.history = History(self.disk, self.esp, self.boot)
        self.state, self.error, self.stretch = State.STARTING, "", 0
        entry = self.esp.get(self.boot.sequence)
        self.trial = self.boot.trial and entry is not None and not entry.plain
        started = first_start(places.run / "agent.json")
        deadline = started + self.running.probation * PATIENCE + MARGIN
        self.watchdog = Watchdog(places.watchdog, deadline if self.trial else None)
        self.http = Http(self.watchdog.feed, self.wait, TRIAL_TIMEOUT if self.trial else TIMEOUT)
        root = (places.etc / "root.json").read_bytes()
        self.trust = Trust(self.http, self.disk.tuf, root, self.settings.server, self.boot.box)
        self.upkeep = Upkeep(places, self.disk, self.esp, self.history, self.running)
        fetcher = Fetcher(self.http, self.disk, self.settings.bases)
        provenance = Provenance(self.http, self.settings.server, places.etc / "builder.json")
        self.update = Update(self.trust, provenance, fetcher, self.esp, self.history, self.upkeep)
        key = self.disk.identity / "box.key"
        self.reporter = Reporter(self.http, self.settings.server, self.boot.box, key, places.boot_id)
        self.condition = Condition(self.running, surroundings, self.watchdog.feed, started)

    def run(self) -> None:
        while True:
            self.wait(self.step())

    def wait(self, seconds: float) -> None:
        """Sleep, and keep the watchdog quiet meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.watchdog.feed()
            time.sleep(min(left, SLICE))

    def step(self) -> float:
        """Do what the state asks; return the seconds until the next step."""
        self.watchdog.feed()
        work: dict[State, Callable[[], float]] = {
            State.STARTING: self.start,
            State.PROBATION: self.try_out,
            State.IDLE: self.poll,
            State.FETCHING: self.fetch,
            State.STAGING: self.stage,
            State.REBOOTING: self.leave,
        }
        try:
            delay = work[self.state]()
        except Exception as error:  # whatever it is: a box without an agent is lost
            delay = self.stumble(error)
        self.send_report()
        return delay

    def stumble(self, error: Exception) -> float:
        expected = isinstance(error, (Refused, NetError, OSError))
        self.history.log(str(error) if expected else f"unexpected {type(error).__name__}: {error}")
        if not expected:
            sys.excepthook(type(error), error, error.__traceback__)
        self.error = str(error) if expected else f"{type(error).__name__}: {error}"
        if self.state in (State.FETCHING, State.STAGING):
            self.go(Event.REFUSE)
        self.stretch = min(2 * self.stretch or 1, MAX_STRETCH)
        return self.settings.poll * self.stretch

    # --- one method per state ---

    def start(self) -> float:
        self.upkeep.set_clock()
        self.upkeep.chore("look back", lambda: self.history.look_back(self.places.pstore))
        self.upkeep.keep_way_back()
        if self.trial:
            return self.go(Event.BEGIN_TRIAL)
        self.upkeep.chore("clean up", self.upkeep.clean)  # no layers: what is half fetched goes on where it stopped
        return self.go(Event.SETTLE)

    def try_out(self) -> float:
        """One round of the trial."""
        if self.history.condemned():
            return self.go(Event.GO_BACK)
        if failed := onboot_failures(self.places.run / "onboot"):
            return self.give_up(Verdict.FAILED, failed[0])
        outcome = self.condition.try_out(self.reached)
        if outcome is None:
            return min(max(self.running.probation / 8, 0.1), 10)
        if outcome.verdict:
            return self.give_up(outcome.verdict, outcome.reason)
        return self.bless()

    def poll(self) -> float:
        """Idle: one conditional GET, unless something is new."""
        self.condition.refresh()
        offer, failures = self.update.look(), self.history.memory.failures
        held = rules.decide(offer, self.running, failures, int(time.time()))
        if held is None:
            return self.go(Event.TAKE)
        self.error, self.stretch = held, 0
        return self.settings.poll

    def fetch(self) -> float:
        self.update.fetch()
        return self.go(Event.FETCHED)

    def stage(self) -> float:
        if not self.update.stage():
            return self.go(Event.REFUSE)
        self.error = ""
        return self.go(Event.STAGED)

    def leave(self) -> float:
        """Reboot through onshutdown; what does not come to its end is ended by the watchdog."""
        self.reboot()
        return REBOOT_SECONDS

    # --- what they are made of ---

    def go(self, event: Event) -> float:
        """Into the next state, at once."""
        before, self.state = self.state, after(self.state, event)
        self.history.log(f"{before} --{event}--> {self.state}")
        if self.state == State.REBOOTING:
            self.watchdog.until = time.monotonic() + REBOOT_SECONDS
        return 0

    def reached(self) -> bool:
        """A release that cannot verify what is offered could never be replaced: that counts as out of reach."""
        with contextlib.suppress(NetError, Refused, OSError):
            self.update.look_closely()
            return True
        return False

    def bless(self) -> float:
        self.esp.bless(self.boot.sequence)
        self.trial, self.watchdog.until, self.http.timeout = False, None, TIMEOUT
        self.history.log("healthy: blessed")
        self.go(Event.BLESS)
        self.upkeep.keep_way_back()
        self.upkeep.collect()
        return 0

    def give_up(self, verdict: Verdict, reason: str) -> float:
        """End the running trial: its entry gets no more tries, the reason is kept, the box reboots."""
        self.history.log(f"{verdict}: {reason}")
        trial = self.history.memory.staged.get(self.boot.sequence)
        staged = Staged(self.boot.sequence, self.boot.release, self.running.content, trial.uki if trial else "", "")
        self.history.fail(staged, verdict, reason)
        return self.go(Event.GO_BACK)

    # --- the report ---

    def report(self) -> Report:
        degraded, memory = self.degraded(), self.history.memory
        entry, back = self.esp.get(self.boot.sequence), self.upkeep.rollback()
        return Report(
            sequence=self.boot.sequence,
            release=self.boot.release,
            content=self.running.content,
            phase=self.state,
            health=self.health(degraded),
            error=self.error,
            staged=max((each.sequence for each in self.history.waiting()), default=0),
            rollback=back.sequence if back and back.sequence != self.boot.sequence else 0,
            entry=entry.name if entry else "",
            degraded=degraded,
            checks=[CheckRow.of(result) for result in self.condition.results],
            fetched=memory.fetched | {"repaired": len(self.boot.repaired)},
            failures=[FailureRow.of(failure) for failure in memory.failures],
        )

    def degraded(self) -> list[str]:
        problems = [*self.settings.problems, self.history.problem, *self.upkeep.problems]
        problems += onboot_failures(self.places.run / "onboot")
        problems += [] if self.watchdog.armed else ["no watchdog"]
        return [problem for problem in problems if problem]

    def health(self, degraded: list[str]) -> Health:
        if self.state not in SETTLED or (self.condition.coming and not degraded):
            return Health.PROGRESSING
        return Health.HEALTHY if self.condition.well and not degraded else Health.DEGRADED

    def send_report(self) -> None:
        """Trouble with the report is never trouble for the box."""
        try:
            if problem := self.reporter.offer(self.report()):
                sys.stderr.write(problem + "\n")
        except OSError as error:
            sys.stderr.write(f"no report: {error}\n")


def first_start(path: Path) -> float:
    """When the agent first started in this boot: a restarted agent does not begin its probation again."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(path.read_bytes())["started"])
    started = time.monotonic()
    path.write_text(json.dumps({"started": started}))
    return started


def reboot_host() -> None:
    """Ask PID 1 (of the host: the agent shares its pid namespace) to reboot through onshutdown."""
    os.kill(1, signal.SIGTERM)


def main() -> None:
    places = Places()
    Agent(places, System(), reboot_host).run()


if __name__ == "__main__":
    main()
