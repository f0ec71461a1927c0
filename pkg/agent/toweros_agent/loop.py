"""The loop: one method per state, and the deadlines of the process.

`step` does what the state asks and moves on by a named transition (machine.py); decisions are in rules.py. Whatever
goes wrong on the way to a new release ends in `refuse`: the box stays as it was and the report names the reason.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial

from toweros_agent import deadlines
from toweros_agent.diskless.medium import OnMedium
from toweros_agent.diskless.upkeep import Diskless
from toweros_agent.facts.facts import Facts
from toweros_agent.firmware.chosen import esp_of
from toweros_agent.health.checks import Surroundings, onboot_failures, onboot_verdict
from toweros_agent.health.condition import Condition
from toweros_agent.health.system import System
from toweros_agent.history import History
from toweros_agent.host.boot import MEDIUM, RAM, Boot, restarts_by
from toweros_agent.host.disk import Disk
from toweros_agent.host.logs import onboot_said, said_last
from toweros_agent.host.started import Started, first_start, services_made
from toweros_agent.host.watchdog import Watchdog
from toweros_agent.joining.joining import Joining
from toweros_agent.joining.name import is_new, named
from toweros_agent.machine import Event, State, after
from toweros_agent.nouns import FORMAT, Refused, Release, Staged, Verdict
from toweros_agent.offer.copies.near import near_by
from toweros_agent.offer.fetch import Fetcher
from toweros_agent.offer.net import Http, NetError
from toweros_agent.offer.patience import pause
from toweros_agent.offer.provenance import Provenance
from toweros_agent.offer.trust import Trust
from toweros_agent.offer.update import Update
from toweros_agent.outgoing.identity import Identity
from toweros_agent.outgoing.reaching import Reach
from toweros_agent.outgoing.telling import Teller
from toweros_agent.plugged.coming import Coming
from toweros_agent.remote.remote import Remote
from toweros_agent.report import Report, Reporter
from toweros_agent.settings import Places, load
from toweros_agent.tpm.asking import Tpm
from toweros_agent.turn.turn import Turn
from toweros_agent.upkeep.disk import Upkeep
from toweros_agent.wiping.wiping import AGAIN, Wiping
from toweros_agent.wiring.way_out import WayOut

MAX_STRETCH = 8
"""An offer that was refused is looked at again after the poll interval, stretched up to so many times."""
UPKEEPS: dict[str, type[Upkeep]] = {RAM: Diskless, MEDIUM: OnMedium}
"""Of a boot that is not from the box's own disk."""


class Agent:
    """The agent of one boot."""

    def __init__(self, places: Places, surroundings: Surroundings, reboot: Callable[[], None]) -> None:
        self.places, self.reboot = places, reboot
        self.disk, self.esp = Disk(places.run / "disk"), esp_of(places)
        self.boot = named(Boot.parse((places.run / "boot.json").read_bytes()), self.disk.identity, places.run / "key")
        self.running = Release.parse((places.run / "release.json").read_bytes())
        self.settings = load(places, self.boot.server)
        self.history = History(self.disk, self.esp, self.boot, places.boot_id)
        self.state, self.error, self.stretch = State.STARTING, "", 0
        self.upkeep = UPKEEPS.get(self.boot.place, Upkeep)(places, self.disk, self.esp, self.history, self.running)
        other = self.upkeep.entries.other_uki()
        self.started = Started(self.esp, self.boot, self.history.memory.staged, other_uki=other)
        self.trial, started = self.started.trial, first_start(places.run / "agent.json")
        deadline = started + deadlines.trial(self.running.probation, self.running.checks)
        self.watchdog = Watchdog(places.watchdog, deadline if self.trial else None)
        self.wait = self.watchdog.wait
        silence = deadlines.TRIAL_SILENCE if self.trial else deadlines.SILENCE
        self.http = Http(self.watchdog.feed, self.wait, silence, WayOut.read(places.etc), near_by(self.settings))
        fetcher, root = Fetcher(self.http, self.disk, self.settings.bases), (places.etc / "root.json").read_bytes()
        self.trust = Trust(self.http, self.disk.tuf, root, self.settings.server, self.boot.box)
        provenance = Provenance(self.http, self.settings.server, places.etc / "builder.json")
        self.update = Update(self.trust, provenance, fetcher, self.esp, self.history, self.upkeep)
        log = self.history.log
        self.identity = Identity(self.disk.identity, places.run / "esp", log, Tpm(places.tpm), places.run / "key")
        self.joining = Joining(places, self.trust, self.identity, log)
        self.wiping = Wiping(places, self.disk, self.boot, self.identity, log)
        known = (self.identity, places.boot_id, Facts(places, self.settings.poll))
        self.reporter = Reporter(self.http, self.settings.server, self.boot.box, *known)
        self.turn = Turn(places, self.history, self.update, self.reporter)
        self.coming = Coming(places, self.boot, self.update, self.reporter)
        self.remote = Remote(places.etc, self.reporter, log)
        began = partial(services_made, places.run, started)
        self.condition = Condition(self.running, surroundings, self.watchdog.feed, began)
        self.reached = Reach(self.update, self.reporter, self.tell, self.upkeep.ways.lost)
        self.teller = Teller(self.boot, self.running, self.esp, self.history, self.upkeep, self.condition)

    def run(self) -> None:
        self.guard()
        while True:
            delay = pause(step := self.step(), self.http.rest(step) * (not self.trial))
            self.watchdog.allow(delay + deadlines.SLACK)
            self.coming.wait(delay, self.wait)

    def guard(self) -> None:
        """Write down what this thread does when a reset is near."""
        self.watchdog.guard(self.history.near_reset, lambda: {**head(self.history), "state": self.state})

    def step(self) -> float:
        """Do what the state asks; return the seconds until the next step."""
        self._allow(deadlines.step(self.state, self.running.checks))
        work: dict[State, Callable[[], float]] = {
            State.STARTING: self.start,
            State.PROBATION: self.try_out,
            State.IDLE: self.poll,
            State.FETCHING: self.fetch,
            State.STAGING: self.stage,
            State.REBOOTING: self.leave,
            State.WIPING: self.wipe,
        }
        try:
            delay = work[self.state]()
        except Exception as error:  # whatever it is: a box without an agent is lost
            delay = self.stumble(error)
        self._allow(deadlines.REPORT)
        self.send_report(delay)
        return delay

    def _allow(self, seconds: float) -> None:
        """One end for all that comes now; the watchdog is fed a little longer, for what is not a wait."""
        self.watchdog.allow(seconds + deadlines.SLACK)
        self.http.within(seconds)

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

    def start(self) -> float:
        self.upkeep.chore("look after the box's key", self.identity.settle)
        self.upkeep.look_around()
        self.upkeep.keep_way_back()
        if self.trial:
            return self.go(Event.BEGIN_TRIAL)
        self.upkeep.chore("clean up", self.upkeep.clean)  # no layers: what is half fetched goes on where it stopped
        return self.go(Event.SETTLE)

    def try_out(self) -> float:
        """One round of the trial."""
        if self.history.condemned():
            return self.go(Event.GO_BACK)
        if self.started.void:
            return self.give_up(Verdict.INDETERMINATE, self.started.void)
        if failed := onboot_failures(self.places.run / "onboot"):
            name = failed[0].removeprefix("onboot ").partition(":")[0]
            return self.give_up(onboot_verdict(failed[0]), failed[0], onboot_said(self.places.run / "log", name))
        outcome = self.condition.try_out(self.reached)
        if outcome is None:
            return min(max(self.running.probation / 8, 0.1), deadlines.PAUSE)
        if outcome.verdict:
            outside = outcome.verdict == Verdict.INDETERMINATE and self.reached.why
            reason = outcome.reason + (f": {self.reached.why}" if outside else "")
            said = said_last(self.places.run / "logs", self.condition.names(outcome.check)) if outcome.check else ""
            return self.give_up(outcome.verdict, reason, said)
        return self.bless()

    def poll(self) -> float:
        """Idle: one conditional GET, unless something is new."""
        self.condition.refresh()
        self.upkeep.settle()
        if self.history.ends_itself(self.condition.keeper.hopeless or self.upkeep.entries.hopeless):
            return self.go(Event.DESPAIR)
        if is_new(self.boot.box):
            return self.join()
        if self.wiping.due("") or self.wiping.due(self.update.look(settled=True).wipe):  # what began needs no network
            return self.go(Event.WIPE)
        self.reporter.receipts = self.update.receipts
        held = self.turn.keeps(self.update.held(), lambda: self.reporter.waits or self.upkeep.waits())
        if held is None:
            return self.go(self.upkeep.taking)
        self.update.mend()
        self.error, self.stretch = held, 0
        event = self.turn.then(held)
        return self.go(event) if event else self.turn.pause(self.settings.poll)

    def join(self) -> float:
        """Without a name there is nothing to take: wait for one, and go on as that box."""
        name, self.error, self.stretch = self.joining.name(), "", 0
        if not name:
            return self.settings.poll
        self.boot = self.history.boot = self.teller.boot = self.joining.become(name, self.boot, self.reporter)
        return 0

    def fetch(self) -> float:
        if not (early := self.turn.early.bring()):
            self.update.fetch()
        return self.go(Event.READY if early else Event.FETCHED)

    def stage(self) -> float:
        if not self.update.stage(self.turn.waits):
            return self.go(Event.REFUSE)
        self.error = ""
        return self.go(Event.STAGED)

    def leave(self) -> float:
        """Reboot through onshutdown; what does not come to its end is ended by the watchdog."""
        self.watchdog.until = min(self.watchdog.until or float("inf"), time.monotonic() + deadlines.REBOOT)
        self.remote.end("the box restarts now")
        self.reboot()
        return deadlines.REBOOT

    def wipe(self) -> float:
        """Its last word is that it is wiped: from here it goes down by itself."""
        return self.leave() if self.wiping.step(self.reporter.heard(State.WIPING)) else AGAIN

    def go(self, event: Event) -> float:
        """Into the next state, at once."""
        before, self.state = self.state, after(self.state, event)
        self.history.log(f"{before} --{event}--> {self.state}")
        return 0

    def bless(self) -> float:
        self.esp.bless(self.boot.sequence)
        self.trial, self.watchdog.until, self.http.silence = False, None, deadlines.SILENCE
        self.history.log("healthy: blessed")
        self.go(Event.BLESS)
        self.upkeep.keep_way_back()
        self.upkeep.collect()
        return 0

    def give_up(self, verdict: Verdict, reason: str, said: str = "") -> float:
        """End the running trial: no more tries, the reason is kept, the box reboots. `said`: by whom it is about."""
        self.history.log(f"{verdict}: {reason}")
        trial = self.history.memory.staged.get(self.boot.sequence)
        staged = Staged(self.boot.sequence, self.boot.release, self.running.content, trial.uki if trial else "", "")
        self.history.fail(staged, verdict, reason, said)
        return self.go(Event.GO_BACK)

    def tell(self) -> Report:
        local = [*self.settings.problems, *onboot_failures(self.places.run / "onboot"), *self.identity.problems]
        local += [self.reporter.clock, self.wiping.problem, "" if self.watchdog.armed else "no watchdog"]
        report = self.turn.told(self.teller.tell(self.state, self.error, local))
        return self.remote.told(self.coming.told(self.joining.told(report, self.boot)))

    def send_report(self, delay: float = 0) -> None:
        """Trouble with the report is never trouble for the box."""
        try:
            if problem := self.reporter.offer(self.tell(), max(delay, self.settings.poll)):
                sys.stderr.write(problem + "\n")
            self.coming.give()
            self.remote.look()
        except OSError as error:
            sys.stderr.write(f"no report: {error}\n")


def head(history: History) -> dict[str, object]:
    """How what is written down of this boot begins."""
    return {"format": FORMAT, "sequence": history.boot.sequence, "boot_id": history.boot_id}


def reboot_host() -> None:
    """Ask PID 1 (of the host: the agent shares its pid namespace) to reboot through onshutdown."""
    os.kill(1, restarts_by(Places().run / "boot.json"))


def main() -> None:
    if not sys.argv[1:]:
        return Agent(Places(), System(), reboot_host).run()
    from toweros_agent.plugged import command

    try:
        sys.stdout.write(command.main(sys.argv[1:], Places()))
    except (Refused, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
