"""systemd-boot follows the release that runs: another one takes the place of the old when it has started this box.

In: what the blessed release names (`content.boot`), the target `loader.efi` of that release, the firmware's variables.
Rules:

- The old one stays where the firmware looks until the other has started this very box. That is started once, through
  `BootNext`, which the firmware forgets before it follows it: one that it refuses, that crashes or hangs, has the old
  one after it.
- By which one a box was started, systemd-boot says itself (`LoaderImageIdentifier`: gone with each boot).
- `MAX_TRIES`, an hour between two of them, written down before each: then never again until Git names another. The
  same program with other signatures, and one that has started this box before, needs no try.
- A copy of what last started the box lies on `TOWEROS`: a damaged one is put right from it, whatever release runs.
- It is the program that the release names, signed by what the firmware trusts now and will; what is written is read
  back. A release that names none (recipe 1) keeps the program, and gets it with other signatures.

    boot_loader.settle()            # idle and blessed only: did the one that was tried start this boot?
    if boot_loader.due():
        boot_loader.bring(fetched)
    boot_loader.start_once(partition)
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from toweros_agent.firmware.authenticode import program
from toweros_agent.firmware.efivars import LOADER, LOADER_PATH, Partition, forget_option, start_once
from toweros_agent.firmware.keyring import Keyring
from toweros_agent.host import renaming
from toweros_agent.host.disk import write
from toweros_agent.nouns import FORMAT, Refused, number, text

TRIAL_NAME, TRIAL_PATH = "TowerOS loader on trial", r"\EFI\BOOT\TRIALX64.EFI"
MAX_TRIES = 3
PAUSE = 3600.0
"""Seconds between two looks, and from a boot that began without the one that was tried until the next try."""


@dataclass(frozen=True)
class Record:
    """`program` was tried so many times, last from the boot `boot_id`; `proven` has started this box. Both as what a
    signature covers (SHA-256)."""

    program: str = ""
    tries: int = 0
    boot_id: str = ""
    proven: str = ""

    @classmethod
    def load(cls, path: Path) -> "Record":
        """What cannot be read costs at most some tries more."""
        try:
            row = json.loads(path.read_bytes())
            return cls(text(row["program"]), number(row["tries"]), text(row["boot_id"]), text(row["proven"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return cls()


class BootLoader:
    """`memory`: where the record lies, and beside it a copy of what last started this box.
    `named`: by the release that runs; "": by none. `offered`: the server has it for this box now. `asked`: the
    firmware was told to start another one next. `problem` is for people."""

    def __init__(self, keyring: Keyring, memory: Path, named: str, boot_id: str) -> None:
        self.keyring, self.memory, self.named, self.boot_id = keyring, memory, named, boot_id
        self.place, self.trial = keyring.loader, keyring.loader.with_name("TRIALX64.EFI")
        self.copy, self.record = memory.with_name("loader.efi"), Record.load(memory)
        self.problem, self.offered, self.asked, self._staged, self._settled = "", False, False, False, False
        # After a try that failed the box is to be of use for a while; one that worked is told by `settle`.
        self._next = time.monotonic() + PAUSE if self.record.tries and self.record.boot_id != boot_id else 0.0
        self._other = self._ours() != self._wanted()

    @property
    def pending(self) -> bool:
        """Is the box not yet what its release asks for, and on its way there?"""
        return self.offered and self._other and not self.problem

    def settle(self) -> None:
        """How was this boot started? Raises `OSError`."""
        if self._settled:
            return
        started = (self.keyring.variables.get("LoaderImageIdentifier", LOADER) or b"").decode("utf-16-le", "replace")
        place, ours, record = started.rstrip("\0").replace("/", "\\").upper(), self._ours(), self.record
        if place == TRIAL_PATH and self.trial.is_file() and _digest(self.trial) == record.program == self._wanted():
            self._remember(replace(record, proven=record.program))
            self._take("by the one that the release names, which started this box")
        elif record.tries and record.boot_id != self.boot_id and place != TRIAL_PATH:
            self.keyring.log(f"a systemd-boot on trial did not start this box, in try {record.tries}")
            self._given_up()
        if place == LOADER_PATH and ours and _digest(self.copy) != ours:
            write(self.copy, self.place.read_bytes())
            self._remember(replace(self.record, proven=ours))
        elif not ours and self._good(self.copy) and _digest(self.copy) == self.record.proven:
            self._write(self.copy.read_bytes())
            self._take("by a copy of the last one that started this box: it was damaged, or gone")
        self._settled = True

    def due(self) -> bool:
        """Is there to be another one on the ESP, or one with other signatures? At most every `PAUSE`. Raises
        `OSError`."""
        if self.asked or time.monotonic() < self._next:
            return False
        self._next, self.problem = time.monotonic() + PAUSE, ""
        if self._ours() == self._wanted():
            self._other = False
            here = bool(self._wanted())
            return here and not self._good(self.place)
        return not self._given_up()

    def bring(self, offered: Path) -> None:
        """Put a fetched one beside the old one; or in its place, where it needs no try. Raises `OSError`, `Refused`."""
        if not (found := _digest(offered)):
            raise Refused("loader.efi is no signed program")
        if not self._good(offered):
            raise Refused("loader.efi is not signed by what the firmware trusts now, and later")
        if found != self._wanted():
            raise Refused("loader.efi is another program than the release names")
        self._write(offered.read_bytes())
        if found in (self._ours(), self.record.proven):
            self._take("by the one that the release names")
        else:
            self._staged = True

    def start_once(self, partition: Callable[[], Partition]) -> None:
        """Let the firmware start, once, what was brought and needs a try."""
        if not self._staged:
            return
        self._staged, wanted = False, self._wanted()
        before = self.record.tries if self.record.program == wanted else 0
        try:
            self._remember(replace(self.record, program=wanted, tries=before + 1, boot_id=self.boot_id))
            start_once(self.keyring.variables, partition(), TRIAL_NAME, TRIAL_PATH)
        except (OSError, ValueError) as error:
            self.problem = f"systemd-boot stays as it is: another cannot be tried: {error}"
            return
        self.asked = True
        self.keyring.log("the box starts again, by the systemd-boot that its release names")

    def _good(self, path: Path) -> bool:
        try:
            return path.is_file() and not self.keyring.refuses(path) and self.keyring.keeps(path)
        except OSError:  # a sector that cannot be read
            return False

    def _write(self, data: bytes) -> None:
        self.trial.parent.mkdir(exist_ok=True)
        self.trial.write_bytes(data)
        renaming.settle(self.trial)
        if self.trial.read_bytes() != data:
            raise OSError(5, "the ESP does not give back what was written", self.trial.name)

    def _take(self, how: str) -> None:
        """What is on trial takes the place of the old one. A cut leaves one of the two; should it leave none that is
        whole, the firmware's second entry starts the box."""
        expected = self.trial.read_bytes()
        if self.place.is_file() and self.place.stat().st_size:
            renaming.replace(self.trial, self.place)
        else:
            renaming.rename(self.trial, self.place, check=True)
        if self.place.read_bytes() != expected:
            raise OSError(5, "the ESP does not give back what was written", self.place.name)
        self._other = False
        self.keyring.look_again()
        self.keyring.log(f"systemd-boot is replaced {how}")
        write(self.copy, expected)
        self._remember(Record(proven=_digest(self.place)))
        forget_option(self.keyring.variables, TRIAL_NAME)

    def _given_up(self) -> bool:
        """Was it tried often enough?"""
        record, wanted = self.record, self._wanted()
        if record.program != wanted or record.proven == wanted or record.tries < MAX_TRIES:
            return False
        words = f"in {record.tries} tries the one that the release names did not start this box"
        self.problem = f"systemd-boot stays as it is: {words}"
        return True

    def _wanted(self) -> str:
        return self.named or self._ours() or self.record.proven

    def _ours(self) -> str:
        """Of what the firmware starts first; "" when that is damaged or gone."""
        return _digest(self.place)

    def _remember(self, record: Record) -> None:
        if record != self.record:
            write(self.memory, json.dumps({"format": FORMAT} | asdict(record)).encode())
            self.record = record


def _digest(path: Path) -> str:
    """Of what a signature covers; "" where that is no whole, signed program."""
    try:
        return program(path).hex()
    except OSError:
        return ""
