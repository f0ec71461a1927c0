"""What happened to the releases of before, as far as this boot can tell: why they do not run, and how a boot ended.

What it remembers is a document on `TOWEROS` (memory.py). What boots is decided by the ESP alone.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from toweros_agent import deadlines, rules
from toweros_agent.host.boot import Boot
from toweros_agent.host.disk import Disk, take_crash, write
from toweros_agent.host.esp import Esp
from toweros_agent.host.memory import Memory, path_of
from toweros_agent.host.watchdog import reset_the_machine
from toweros_agent.nouns import Failure, Offer, Refused, Reset, Staged, Verdict

MAX_CUTS = 4
"""How often one content is forgiven that its tries ended by loss of power: a kernel that dies mute looks the same."""
TOLD = 3600.0
"""Seconds for which a thing that is over is told."""
GAVE_UP = "the agent started the box again: "
UNKNOWN = "nothing that was written down: the agent did not run, or could not write"


class History:
    """The memory in one boot, and the log that tells the next boot why this one ended."""

    def __init__(self, disk: Disk, esp: Esp, boot: Boot, boot_id: Path) -> None:
        self.disk, self.esp, self.boot = disk, esp, boot
        self.boot_id = boot_id.read_text().strip()
        self.near_reset = disk.state / "near-reset.json"
        self.memory, self._problem = Memory.load(disk)
        self._found = time.monotonic()

    @property
    def problem(self) -> str:
        """What was wrong with the memory: told for some time, as it is put right by then."""
        return self._problem if time.monotonic() - self._found < TOLD else ""

    def log(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        self.disk.log(self.boot.sequence, line)

    def save(self) -> None:
        write(path_of(self.disk), self.memory.encode())

    def waiting(self) -> Iterator[Staged]:
        """What was staged and is newer than what runs."""
        return (each for each in self.memory.staged.values() if each.sequence > self.boot.sequence)

    def condemned(self) -> bool:
        """Whether the running trial was given up already, before the agent was restarted."""
        last = self.memory.failures[-1] if self.memory.failures else None
        same = last is not None and last.release == self.boot.release
        return same and self.boot.sequence not in self.memory.staged

    def fail(self, staged: Staged, verdict: Verdict, reason: str, said: str = "") -> None:
        """Remember why the box goes back from a release; then leave its entry no tries, which may not work."""
        log = "\n".join(filter(None, [self.disk.why(staged.sequence)[1], said]))
        which = (staged.sequence, staged.release, staged.content, staged.uki)
        self.memory.failures.append(Failure(*which, verdict, reason, int(time.time()), log))
        self.memory.staged.pop(staged.sequence, None)
        self.save()
        self.esp.condemn(staged.sequence)

    def look_back(self, pstore: Path, changed: str) -> None:
        """Was there a newer release, and why does it not run? Nothing here proves it bad: only its own trial can.

        `changed` is what was wrong with the boot loader's choice.
        """
        resets = {each.sequence: f"the watchdog reset it; it was doing: {each.doing}" for each in self.memory.resets}
        for each in self.memory.resets:  # which the device admits, not knowing what ran: it was the entry tried last
            if each.seen == self.boot_id and not each.sequence:
                resets[max((one.sequence for one in self.waiting()), default=0)] = (
                    f"the watchdog reset it: {each.doing}"
                )
        for staged in list(self.waiting()):
            entry = self.esp.get(staged.sequence)
            if entry is None:
                del self.memory.staged[staged.sequence]  # power was lost before it got its name
                self.memory.retried.pop(staged.content, None)
                continue
            why = self.disk.why(staged.sequence)[0] or resets.get(staged.sequence, "")
            reason, crash = rules.diagnose(entry, self.esp.intact(staged), why, changed), take_crash(pstore)
            self.log(f"release {staged.sequence} does not run: {reason}")
            if entry.bad and not why and not crash and self._lost_power(staged):
                continue
            self.fail(staged, Verdict.INDETERMINATE, reason, crash)

    def _lost_power(self, staged: Staged) -> bool:
        """Its last try had come to its trial, and then neither said no, nor panicked, nor was reset: power was lost.

        That says nothing of the release, so it is as if it had not been tried, a bounded number of times.
        """
        cuts = self.memory.cuts.get(staged.content, 0)
        if cuts >= MAX_CUTS or not self.disk.in_trial(staged.sequence):
            return False
        self.memory.cuts[staged.content], self.memory.cut_at[staged.content] = cuts + 1, int(time.time())
        del self.memory.staged[staged.sequence]
        self.save()
        self.log(f"release {staged.sequence} lost power in its trial: that does not count")
        return True

    def look_for_reset(self, sys_folder: Path) -> None:
        """What the last boot wrote down when a reset was near, or else what the device says; each once.

        A verdict does not depend on it: what goes wrong here is told, and no more.
        """
        last = self.memory.resets[-1] if self.memory.resets else None
        reset = None
        with contextlib.suppress(FileNotFoundError):
            try:
                reset = Reset.parse(self.near_reset.read_bytes())
            except Refused as error:
                reset = Reset(0, int(time.time()), str(error))
        known = {self.boot_id, *(each.boot_id for each in self.memory.resets if each.boot_id)}
        if reset and reset.boot_id in known:  # the agent was started again, or the record could not be removed
            reset = None
        elif reset is None and reset_the_machine(sys_folder) and (last is None or last.seen != self.boot_id):
            reset = Reset(0, int(time.time()), UNKNOWN)
        if reset:
            self.log(f"the watchdog reset the box: {reset.doing}")
            self.memory.resets.append(replace(reset, seen=self.boot_id))
            self.save()
        self.near_reset.unlink(missing_ok=True)

    def ends_itself(self, why: str) -> bool:
        """Whether it is time to end this boot for a reason, which the next one then tells. "": there is none.

        What cannot be told is not done: nobody would count it.
        """
        before = sum(each.doing.startswith(GAVE_UP) for each in self.memory.resets)
        if not why or time.monotonic() < deadlines.give_up(before):
            return False
        self.memory.resets.append(Reset(self.boot.sequence, int(time.time()), f"{GAVE_UP}{why}", self.boot_id))
        try:
            self.save()
        except OSError as error:
            self.memory.resets.pop()
            self.log(f"the box is not started again, as that cannot be written down: {error}")
            return False
        return True

    def learn(self, offer: Offer) -> None:
        """What is signed for the release that runs: nobody staged the first one of a disk. Only where that is what
        is there: the same release signed again, with other keys perhaps, has had no trial."""
        boot, release = self.boot, offer.release.sha256
        known = offer.sequence in self.memory.staged
        if (release, offer.sequence) == (boot.release, boot.started) and not boot.trial and not known:
            staged = Staged(offer.sequence, release, offer.content, offer.uki.sha256, offer.addon.sha256)
            if self.esp.intact(staged):
                self.memory.staged[offer.sequence] = staged

    def prove_time(self, offer: Offer, now: int) -> None:
        """Move the proven time on. A commit's date is a claim: past what is signed to hold, it proves nothing."""
        before = self.memory.time if self.memory.time <= offer.expires else 0
        self.memory.time = max(before, min(offer.time, offer.expires), now)
