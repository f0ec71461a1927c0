"""Housekeeping: the clock, the way back, and what nothing needs any more.

Rules: nothing is collected during probation; what fails here is told in the report, and keeps no box from asking for
its next release.
"""

import time
from collections.abc import Callable

from toweros_agent import rules
from toweros_agent.chain.entries import Entries
from toweros_agent.firmware.chosen import boot_loader_of, firmware_of, loader_of
from toweros_agent.firmware.efivars import Partition, Variables, keep_fallback, partition_of
from toweros_agent.firmware.keyring import Keyring
from toweros_agent.history import History
from toweros_agent.host.disk import Disk
from toweros_agent.host.esp import Esp
from toweros_agent.host.room import trouble
from toweros_agent.machine import Event
from toweros_agent.nouns import Entry, Release
from toweros_agent.outgoing.host_key import HostKey
from toweros_agent.settings import Places
from toweros_agent.tpm.vault import Vault
from toweros_agent.wiring.ways import Ways


class Upkeep:
    """The chores of one boot, and what is wrong with them. `taking`: how this box moves to what it is asked to run."""

    taking = Event.TAKE

    def __init__(self, places: Places, disk: Disk, esp: Esp, history: History, running: Release) -> None:
        self.places, self.disk, self.esp, self.history, self.running = places, disk, esp, history, running
        self.loader = loader_of(esp, places)
        self.keyring = Keyring(places.etc, places.run / "esp", Variables(places.efivars), history.log)
        memory = disk.state / "loader.json"
        self.boot_loader = boot_loader_of(esp, self.keyring, memory, running.loader, history.boot_id)
        self.entries = Entries(esp, disk.state, history.boot, history.memory.staged, self.keyring.refuses)
        self.firmware = firmware_of(esp, places, disk.state)
        self.host_key = HostKey(places.state, disk.identity)
        self.vault = Vault.of(disk.root, places.run, places.tpm, history.log)
        self.ways = Ways(places, disk.state)
        self._fallback = self._clock = ""
        self._chores: dict[str, str] = {}

    @property
    def problems(self) -> list[str]:
        clock = self._clock if time.time() < self.history.memory.time else ""
        disks = (trouble("TOWEROS", self.disk.root), trouble("STATE", self.places.state))
        told = (self._fallback, clock, *disks, *self._chores.values(), *self.loader.problems)
        told += (
            *self.entries.problems,
            self.keyring.problem,
            self.boot_loader.problem,
            self.vault.why,
            self.ways.problem,
        )
        return [problem for problem in told if problem]

    def waits(self) -> str | None:
        """Why a box that could move to another release stays for a moment; None: nothing keeps it."""
        return None

    def restore(self) -> None:
        """What decides about the next boot is as it must be, and what lets this one into its network."""
        self.chore("put the boot loader right", self.loader.restore)
        self.chore("put the boot files right", self.entries.restore)
        self.chore("lay out the secrets", self.vault.settle)

    def settle(self) -> None:
        """What a blessed release does beside: the same, and the firmware's certificates follow."""
        self.restore()
        self.chore("renew the firmware's certificates", self.keyring.settle)
        self.chore("let systemd-boot follow", self.boot_loader.settle)
        self.chore("remember the ways out", self.ways.remember)

    def try_loader(self) -> bool:
        """Whether the box is to start again now, by a systemd-boot that has not started it yet."""
        self.chore("try a systemd-boot", lambda: self.boot_loader.start_once(self._partition))
        return self.boot_loader.asked

    def _partition(self) -> Partition:
        return partition_of(self.places.run / "esp", self.places.sys, self.loader.variables)

    def chore(self, name: str, work: Callable[[], object]) -> None:
        self._chores.pop(name, None)
        try:
            work()
        except OSError as error:
            self._chores[name] = f"cannot {name}: {error}"
        except Exception as error:  # a fault of ours: no chore is worth the next release, which may mend it
            self._chores[name] = f"cannot {name}: unexpected {type(error).__name__}: {error}"

    def look_around(self) -> None:
        """What a boot begins with: the clock, how the last boot ended, and why a newer release does not run."""
        self.set_clock()
        self.chore("look for a reset", lambda: self.history.look_for_reset(self.places.sys))
        self.restore()
        changed = "; ".join((*self.loader.problems, *self.entries.problems))
        self.chore("look back", lambda: self.history.look_back(self.places.pstore, changed))

    def set_clock(self) -> None:
        """A clock may not be behind the last moment that signed metadata proved."""
        proven = self.history.memory.time
        if time.time() < proven:
            try:
                time.clock_settime(time.CLOCK_REALTIME, proven)
            except (OSError, OverflowError, ValueError) as error:
                self._clock = f"the clock is behind and cannot be set: {error}"

    def rollback(self, coming: Entry | None = None) -> Entry | None:
        """The entry to fall back to, also once `coming` is there."""
        return rules.rollback([*self.esp.entries(), *filter(None, [coming])])

    def keep_way_back(self, coming: Entry | None = None) -> None:
        """Point the firmware's second boot entry at the last good UKI."""
        entry = self.rollback(coming)
        self._fallback = ""
        try:
            if entry and self.esp.in_firmware:
                keep_fallback(self.loader.variables, self._partition(), entry.name)
        except (OSError, ValueError) as error:
            self._fallback = f"no fallback in the firmware: {error}"

    def clean(self) -> set[int]:
        """Drop the boot entries that nothing needs any more; return those that stay."""
        entries, memory = self.esp.entries(), self.history.memory
        stay = rules.keep(entries, self.history.boot.sequence, memory.staged, memory.failures)
        stay.add(self.history.boot.started)
        present = {entry.sequence for entry in entries}
        for sequence in present - stay if present & stay else ():  # never the last way in
            self.esp.remove(sequence)
            memory.staged.pop(sequence, None)
            self.disk.forget(sequence)
        for name in self.esp.clean():
            self.loader.say(f"{name!a} on the ESP is not ours, and is removed")
        return {entry.sequence for entry in entries} & stay

    def collect(self, coming: Release | None = None) -> None:
        """Drop the entries, releases and layers that nothing needs any more."""
        present = self.clean()
        releases = [read for path in self.disk.releases.glob("*.json") if (read := self.disk.read_release(path.stem))]
        early = self.history.memory.early
        kept = (each for each in releases if each.sequence in present or each.digest == early)
        roots = [self.running, *kept]
        # A release that cannot be read hides its layers: then nothing is removed.
        if present <= {release.sequence for release in roots}:
            self.disk.collect(roots, downloads=coming.layers() if coming else ())
