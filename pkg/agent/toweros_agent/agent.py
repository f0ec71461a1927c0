"""The loop: one method per state, and what each does to the box.

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

from toweros_agent import rules
from toweros_agent.disk import Disk, take_crash
from toweros_agent.efivars import Variables, keep_fallback, partition_of
from toweros_agent.esp import Esp
from toweros_agent.fetch import Fetcher
from toweros_agent.health import MARGIN, PATIENCE, Checker, Probation, Result, Surroundings, System, onboot_failures
from toweros_agent.machine import State, after
from toweros_agent.net import TIMEOUT, TRIAL_TIMEOUT, Http, NetError
from toweros_agent.nouns import Boot, Entry, Failure, Json, Offer, Refused, Release, Staged
from toweros_agent.report import Reporter
from toweros_agent.settings import Places, load
from toweros_agent.trust import Trust
from toweros_agent.watchdog import Watchdog

HEALTH_EVERY = 60.0
"""Seconds between two health rounds of a blessed release."""
MAX_STRETCH = 8
"""An offer that was refused is looked at again after the poll interval, stretched up to so many times."""
REBOOT_SECONDS = 180.0
"""How long onshutdown may take before the watchdog is left to reset the box."""
SLICE = 5.0


class Agent:
    """The agent of one boot."""

    def __init__(self, places: Places, surroundings: Surroundings, reboot: Callable[[], None]) -> None:
        self.places, self.reboot = places, reboot
        self.boot = Boot.parse((places.run / "boot.json").read_bytes())
        self.running = Release.parse((places.run / "release.json").read_bytes())
        self.settings = load(places, self.boot.server)
        self.disk, self.esp = Disk(places.run / "disk"), Esp(places.run / "esp")
        self.memory, self.memory_problem = self.disk.load()
        self.state, self.error = State.STARTING, ""
        self.offer: Offer | None = None
        self.candidate: Release | None = None
        entry = self.esp.get(self.boot.sequence)
        self.trial = self.boot.trial and entry is not None and not entry.plain
        self.started = self._first_start()
        window = self.running.probation
        self.watchdog = Watchdog(places.watchdog, self.started + window * PATIENCE + MARGIN if self.trial else None)
        self.http = Http(self.watchdog.feed, self.wait, TRIAL_TIMEOUT if self.trial else TIMEOUT)
        root = (places.etc / "root.json").read_bytes()
        self.trust = Trust(self.http, self.disk.tuf, root, self.settings.server, self.boot.box)
        self.fetcher = Fetcher(self.http, self.disk, self.settings.bases)
        key = self.disk.identity / "box.key"
        self.reporter = Reporter(self.http, self.settings.server, self.boot.box, key, places.boot_id)
        self.checker = Checker(self.running.checks, surroundings, self.watchdog.feed)
        self.probation = Probation(window)
        self.results: list[Result] = []
        self.fallback_problem = self.clock_problem = ""
        self.chores: dict[str, str] = {}
        self.stretch, self.checked, self.began = 0, -HEALTH_EVERY, (0.0, 0)

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
        self.say(str(error) if expected else f"unexpected {type(error).__name__}: {error}")
        if not expected:
            sys.excepthook(type(error), error, error.__traceback__)
        self.error = str(error) if expected else f"{type(error).__name__}: {error}"
        if self.state in (State.FETCHING, State.STAGING):
            self.go("refuse")
        self.stretch = min(2 * self.stretch or 1, MAX_STRETCH)
        return self.settings.poll * self.stretch

    # --- one method per state ---

    def start(self) -> float:
        self.set_clock()
        self.chore("look back", self.look_back)
        self.keep_way_back()
        if self.trial:
            self.go("begin_trial")
            return 0
        self.chore("clean up", self.clean)  # no layers: what is half fetched goes on where it stopped
        self.go("settle")
        return 0

    def try_out(self) -> float:
        """One round of the trial."""
        last = self.memory.failures[-1] if self.memory.failures else None
        if last and last.release == self.boot.release and self.boot.sequence not in self.memory.staged:
            return self.go_back("", "")  # condemned before the agent was restarted
        if failed := onboot_failures(self.places.run / "onboot"):
            return self.go_back(rules.FAILED, failed[0])
        self.results = self.checker.round()
        reached = False
        with contextlib.suppress(NetError, Refused, OSError):
            self.look()  # a release that cannot verify what is offered could never be replaced
            reached = True
        self.probation.add(self.results, reached)
        verdict = self.probation.verdict(time.monotonic() - self.started)
        if verdict is None:
            return min(max(self.probation.window / 8, 0.1), 10)
        if verdict[0]:
            return self.go_back(*verdict)
        self.esp.bless(self.boot.sequence)
        self.trial, self.watchdog.until, self.http.timeout = False, None, TIMEOUT
        self.say("healthy: blessed")
        self.go("bless")
        self.keep_way_back()
        self.collect()
        return 0

    def poll(self) -> float:
        """Idle: one conditional GET, unless something is new."""
        if not self.well() or time.monotonic() - self.checked >= HEALTH_EVERY:
            self.results, self.checked = self.checker.round(), time.monotonic()
        held = rules.decide(self.look(), self.running, self.memory.failures, int(time.time()))
        if held is None:
            self.go("take")
            return 0
        self.error, self.stretch = held, 0
        return self.settings.poll

    def fetch(self) -> float:
        assert self.offer
        self.began = (time.monotonic(), self.http.received)
        self.fetcher.deltas = 0
        path = self.fetcher.target(self.offer.release, self.disk.state / "offer.json")
        release = Release.parse(data := path.read_bytes())
        self.check(release, self.offer)
        self.chore("collect", lambda: self.collect(release))
        layers = self.fetcher.release_layers(release, self.running)
        self.disk.add_release(data, release)
        self.candidate = release
        self.memory.fetched = {"layers": [layer.root for layer in layers], "deltas": self.fetcher.deltas, "repaired": 0}
        self.go("fetched")
        return 0

    def stage(self) -> float:
        assert self.offer and self.candidate
        offer, downloads = self.offer, self.disk.state
        if self.outdated(offer):
            self.go("refuse")
            return 0
        addon = self.fetcher.target(offer.addon, downloads / "addon.efi")
        uki = self.esp.find(offer.uki) or self.fetcher.target(offer.uki, downloads / "uki.efi")
        self.esp.demand(offer.uki.length + offer.addon.length)
        self.disk.forget(offer.sequence)
        self.esp.stage(offer.sequence, uki, addon)
        staged = Staged(offer.sequence, self.candidate.digest, offer.content, offer.uki.sha256, offer.addon.sha256)
        self.memory.staged[offer.sequence] = staged
        seconds, received = self.began
        self.memory.fetched |= {"bytes": self.http.received - received, "seconds": int(time.monotonic() - seconds)}
        self.disk.save(self.memory)
        self.keep_way_back(Entry(offer.sequence, left=1))
        self.esp.publish(staged)
        self.error = ""
        self.say(f"staged release {offer.sequence}")
        self.go("staged")
        return 0

    def leave(self) -> float:
        """Reboot through onshutdown; what does not come to its end is ended by the watchdog."""
        self.reboot()
        return REBOOT_SECONDS

    # --- what they are made of ---

    def look(self) -> Offer:
        """What is asked of the box now."""
        now = int(time.time())
        if self.trust.changed() or self.offer is None or now > self.offer.expires:
            self.offer = None
            self.offer = self.trust.offer()
            # A commit's date is somebody's claim: past what is signed to hold, it is no proof of anything.
            known = self.memory.time if self.memory.time <= self.offer.expires else 0
            self.memory.time = max(known, min(self.offer.time, self.offer.expires), now)
            self.chore("remember", lambda: self.disk.save(self.memory))
        return self.offer

    def outdated(self, offer: Offer) -> bool:
        """Was it held or replaced while it was fetched? That takes hours on a thin line. Nobody there: it was not."""
        with contextlib.suppress(NetError):
            fresh = self.look()
            return fresh.release != offer.release or bool(fresh.held)
        return False

    def go(self, event: str) -> None:
        before, self.state = self.state, after(self.state, event)
        self.say(f"{before} --{event}--> {self.state}")
        if self.state == State.REBOOTING:
            self.watchdog.until = time.monotonic() + REBOOT_SECONDS

    def go_back(self, verdict: str, reason: str) -> float:
        """Give the running trial up: its entry gets no more tries, the reason is kept, the box reboots."""
        if verdict:
            self.say(f"{verdict}: {reason}")
            trial = self.memory.staged.get(self.boot.sequence)
            uki = trial.uki if trial else ""
            known = Staged(self.boot.sequence, self.boot.release, self.running.content, uki, "")
            self.fail(known, verdict, reason)
        self.go("go_back")
        return 0

    def fail(self, staged: Staged, verdict: str, reason: str, crash: str = "") -> None:
        self.esp.condemn(staged.sequence)
        log = "\n".join(filter(None, [self.disk.why(staged.sequence)[1], crash]))
        known = (staged.sequence, staged.release, staged.content, staged.uki)
        self.memory.failures.append(Failure(*known, verdict, reason, int(time.time()), log))
        self.memory.staged.pop(staged.sequence, None)
        self.disk.save(self.memory)

    def look_back(self) -> None:
        """Was there a newer release, and why does it not run?"""
        for staged in [each for each in self.memory.staged.values() if each.sequence > self.boot.sequence]:
            entry = self.esp.get(staged.sequence)
            if entry is None:
                del self.memory.staged[staged.sequence]  # power was lost before it got its name
                continue
            verdict, reason = rules.diagnose(entry, self.esp.intact(staged), self.disk.why(staged.sequence)[0])
            self.say(f"release {staged.sequence} does not run: {verdict}: {reason}")
            self.fail(staged, verdict, reason, take_crash(self.places.pstore))

    def set_clock(self) -> None:
        """A clock may not be behind the last moment that signed metadata proved."""
        if time.time() < self.memory.time:
            try:
                time.clock_settime(time.CLOCK_REALTIME, self.memory.time)
            except (OSError, OverflowError, ValueError) as error:
                self.clock_problem = f"the clock is behind and cannot be set: {error}"

    def keep_way_back(self, coming: Entry | None = None) -> None:
        """Point the firmware's second boot entry at the last good UKI."""
        entry = rules.rollback([*self.esp.entries(), *filter(None, [coming])], self.boot.sequence)
        self.fallback_problem = ""
        try:
            if entry:
                variables = Variables(self.places.efivars)
                partition = partition_of(self.places.run / "esp", self.places.sys, variables)
                keep_fallback(variables, partition, entry.name)
        except (OSError, ValueError) as error:
            self.fallback_problem = f"no fallback in the firmware: {error}"

    def chore(self, name: str, work: Callable[[], object]) -> None:
        """Housekeeping that fails is told, and keeps no box from asking for its next release."""
        self.chores.pop(name, None)
        try:
            work()
        except OSError as error:
            self.chores[name] = f"cannot {name}: {error}"

    def clean(self) -> set[int]:
        """Drop the boot entries that nothing needs any more; return those that stay."""
        entries = self.esp.entries()
        stay = rules.keep(entries, self.boot.sequence, self.memory.staged, self.memory.failures)
        for sequence in {entry.sequence for entry in entries} - stay:
            self.esp.remove(sequence)
            self.memory.staged.pop(sequence, None)
            self.disk.forget(sequence)
        self.esp.clean()
        return {entry.sequence for entry in entries} & stay

    def collect(self, coming: Release | None = None) -> None:
        """Drop the entries, releases and layers that nothing needs any more. Never during probation."""
        present = self.clean()
        releases = [found for path in self.disk.releases.glob("*.json") if (found := self.disk.read_release(path.stem))]
        roots = [self.running, *(release for release in releases if release.sequence in present)]
        # A release that cannot be read hides its layers: then nothing is removed.
        if present <= {release.sequence for release in roots}:
            self.disk.collect(roots, downloads=coming.layers() if coming else ())

    def check(self, release: Release, offer: Offer) -> None:
        """Raises `Refused` when the document is not the one that the metadata speaks of."""
        if release.box != self.boot.box:
            raise Refused(f"release.json is for {release.box}, not for {self.boot.box}")
        if (release.sequence, release.content) != (offer.sequence, offer.content):
            raise Refused("release.json has another sequence or content than its metadata says")

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        self.disk.log(self.boot.sequence, line)

    def _first_start(self) -> float:
        """When the agent first started in this boot: a restarted agent does not begin its probation again."""
        path = self.places.run / "agent.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return float(json.loads(path.read_bytes())["started"])
        started = time.monotonic()
        path.write_text(json.dumps({"started": started}))
        return started

    # --- the report ---

    def degraded(self) -> list[str]:
        problems = [*self.settings.problems, self.memory_problem, self.fallback_problem, self.clock_problem]
        problems += self.chores.values()
        problems += onboot_failures(self.places.run / "onboot")
        problems += [] if self.watchdog.armed else ["no watchdog"]
        return [problem for problem in problems if problem]

    def well(self) -> bool:
        """Every check holds; none has been asked yet is not well."""
        return len(self.results) >= len(self.running.checks) and all(result.ok for result in self.results)

    def coming(self) -> bool:
        """What is not well may only be slow: it never answered, and there is time left."""
        silent = all(result.ok or not result.answered for result in self.results)
        windows = PATIENCE if silent else 1
        return not self.well() and time.monotonic() - self.started < self.probation.window * windows

    def body(self) -> Json:
        """The report, without what changes by itself."""
        degraded = self.degraded()
        settled = self.state in (State.IDLE, State.FETCHING, State.STAGING) and (degraded or not self.coming())
        entries = self.esp.entries()
        back = rules.rollback(entries, self.boot.sequence)
        return {
            "sequence": self.boot.sequence,
            "release": self.boot.release,
            "content": self.running.content,
            "phase": str(self.state),
            "health": "Progressing" if not settled else "Degraded" if degraded or not self.well() else "Healthy",
            "error": self.error,
            "staged": max((each for each in self.memory.staged if each > self.boot.sequence), default=0),
            "rollback": back.sequence if back and back.sequence != self.boot.sequence else 0,
            "entry": next((entry.name for entry in entries if entry.sequence == self.boot.sequence), ""),
            "degraded": degraded,
            "checks": [
                {"name": r.name, "ok": r.ok, "message": r.message, "restarts": r.restarts} for r in self.results
            ],
            "fetched": self.memory.fetched | {"repaired": len(self.boot.repaired)},
            "failures": [_public(failure) for failure in self.memory.failures],
        }

    def send_report(self) -> None:
        """Trouble with the report is never trouble for the box."""
        try:
            if problem := self.reporter.offer(self.body()):
                sys.stderr.write(problem + "\n")
        except OSError as error:
            sys.stderr.write(f"no report: {error}\n")


def _public(failure: Failure) -> Json:
    """A failure as the report has it."""
    names = ("sequence", "release", "verdict", "reason", "time", "log")
    return {name: getattr(failure, name) for name in names}


def reboot_host() -> None:
    """Ask PID 1 (of the host: the agent shares its pid namespace) to reboot through onshutdown."""
    os.kill(1, signal.SIGTERM)


def main() -> None:
    places = Places()
    Agent(places, System(), reboot_host).run()


if __name__ == "__main__":
    main()
