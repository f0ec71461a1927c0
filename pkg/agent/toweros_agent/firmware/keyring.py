"""New certificates for the firmware: updates of KEK and db that the box itself hands to it (UEFI 2.10, 8.2.2).

In: `/etc/toweros/firmware.json` (contracts/firmware), which comes with the release that runs, so a trial has shown that
this box starts it. Out: variables with the new certificate, later without the old one. Rules:

- What adds comes before what replaces; what fails stops later updates of its own variable alone, except one that does
  the same under another signature.
- The firmware checks who signed an update, and does it whole or not at all; what it does not take is told.
- An old certificate is dropped only when every program on the ESP is signed first by one that stays (some firmware
  looks at no other signature), systemd-boot and the way back included, and when nothing is in the variable that the
  update does not speak of.
- What is written is read back. Each step asks what is there now: whoever was cut off goes on, a year later too.

    keyring.settle()        # idle and blessed only; cheap when nothing is due
"""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toweros_agent.firmware.authenticode import signed_by
from toweros_agent.firmware.efivars import LOADER_PATH, Variables
from toweros_agent.host.firmware import KEYS, signatures
from toweros_agent.nouns import Json, Refused, digest, readable, sha256, text

DOCUMENT = "firmware.json"
MAX_UPDATES = 16
PAUSE = 3600.0
"""Seconds until something that waits, or that the firmware did not take, is tried again: each try wears its flash."""
APPEND, REPLACE = 0x67, 0x27
"""Non-volatile, boot services, runtime, time-based authenticated write; and that it appends."""
CHANGED = ("KEK", "db")


@dataclass(frozen=True)
class Change:
    """One signed update. `lists`: fingerprints (SHA-256 of the certificate) that are in the variable after it; `drops`:
    those that are not, which makes it one that replaces."""

    variable: str
    lists: frozenset[str]
    drops: frozenset[str]
    data: bytes

    @classmethod
    def read(cls, value: Json) -> "Change":
        name = text(value["variable"])
        if name not in CHANGED:
            raise ValueError(f"variable {name!r}")
        lists, drops = (frozenset(map(digest, value[member])) for member in ("lists", "drops"))
        return cls(name, lists, drops, base64.b64decode(text(value["data"]), validate=True))

    def due(self, present: set[str]) -> bool:
        return bool(self.drops & present) if self.drops else not self.lists <= present

    def does_as(self, other: "Change") -> bool:
        return (self.variable, self.lists, self.drops) == (other.variable, other.lists, other.drops)

    def done(self, present: set[str]) -> bool:
        return self.lists <= present and not self.drops & present


def parse(data: bytes) -> tuple[Change, ...]:
    """The updates, in their order. Raises `Refused`."""
    try:
        document = json.loads(data)
        readable(DOCUMENT, document)
        return tuple(map(Change.read, document["updates"][:MAX_UPDATES]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused(f"{DOCUMENT} is damaged: {type(error).__name__}: {error}") from error


class Keyring:
    """`problem` is why an update that is due is not done, where that is for people; `waits`, where time mends it."""

    waits = ""

    def __init__(self, etc: Path, esp: Path, variables: Variables, log: Callable[[str], None]) -> None:
        self.esp, self.variables, self.log = esp, variables, log
        self.changes: tuple[Change, ...] = ()
        self._problems: dict[str, str] = {}
        self._next = 0.0
        try:
            self.changes = parse((etc / DOCUMENT).read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, Refused) as error:
            self._problems[DOCUMENT] = str(error)

    @property
    def problem(self) -> str:
        return "; ".join(self._problems.values())

    def settle(self) -> None:
        """Let the firmware follow, as far as it may now. What goes wrong is kept in `problem`."""
        if not self.changes or time.monotonic() < self._next or not self._checks():
            return
        before, self.waits = self.waits, ""
        self._problems.clear()
        failed: dict[str, Change] = {}
        for change in sorted(self.changes, key=lambda each: bool(each.drops)):
            if change.variable in failed and not change.does_as(failed[change.variable]):
                continue
            if not change.due(self.present(change.variable)):
                continue
            if self._do(change):
                failed.pop(change.variable, None)
                self._problems.pop(change.variable, None)
            else:
                failed[change.variable] = change
        if failed:
            self._next = time.monotonic() + PAUSE
        if self.waits and self.waits != before:
            self.log(self.waits)

    def present(self, variable: str) -> set[str]:
        """What the firmware lists now, by fingerprint."""
        return {sha256(each) for each in self._listed(variable)}

    def refuses(self, program: Path) -> bool:
        """Whether the firmware would not start this program. Raises `OSError`."""
        trusted = self._listed("db") if self._checks() else []
        return bool(trusted) and not signed_by(program, trusted)

    def keeps(self, program: Path) -> bool:
        """Is a program signed as it must be later, too, once the firmware lists what is to stay? Raises `OSError`."""
        listed = any(each.variable == "db" and each.lists <= self.present("db") for each in self.changes)
        return not listed or not self._checks() or self._stays(program)

    def look_again(self) -> None:
        """What the ESP has is another by now."""
        self._next = 0.0

    def _do(self, change: Change) -> bool:
        name, present = change.variable, self.present(change.variable)
        if change.drops:
            if foreign := present - change.lists - change.drops:
                self._problems[name] = f"{name} keeps its old certificate, as {min(foreign)[:16]} in it is not ours"
                return False
            if name == "db" and (unsigned := self._unsigned(change)):
                self.waits = f"db keeps its old certificate: {unsigned} is signed by no other, or not first"
                return False
        try:
            self.variables.write(name, KEYS[name], REPLACE if change.drops else APPEND, change.data)
        except OSError as error:
            self._problems[name] = f"the firmware does not take the update of {name}: {error}"
            return False
        if not change.done(self.present(name)):
            self._problems[name] = f"the firmware took the update of {name}, and does not show it"
            return False
        self.log(f"the firmware {'dropped the old' if change.drops else 'lists the new'} certificate of {name}")
        return True

    def _unsigned(self, change: Change) -> str:
        """A program on the ESP that would not start any more."""
        linux = self.esp / "EFI" / "Linux"
        programs = [self.loader, *linux.glob("*.efi"), *linux.glob("*.efi.extra.d/*.efi")]
        kept = [each for each in self._listed("db") if sha256(each) in change.lists]
        for path in programs:
            if not path.is_file() or (path.stat().st_size and not signed_by(path, kept, first=True)):
                return path.name
        return ""

    def _stays(self, program: Path) -> bool:
        """Whether it is signed by a certificate that is there after all updates, and now; first, once the old one is to
        be dropped."""
        first = any(change.variable == "db" and change.drops for change in self.changes)
        names = {each for change in self.changes if change.variable == "db" for each in change.lists}
        return signed_by(program, [each for each in self._listed("db") if sha256(each) in names], first=first)

    def _checks(self) -> bool:
        """Does the firmware look at signatures? Where it does not, nothing that it says proves anything."""
        secure, setup = (self.variables.get(name) for name in ("SecureBoot", "SetupMode"))
        return bool(secure and secure[0] == 1 and not (setup and setup[0]))

    def _listed(self, variable: str) -> list[bytes]:
        return [*signatures(self.variables.get(variable, KEYS[variable]) or b"")]

    @property
    def loader(self) -> Path:
        """Where systemd-boot is."""
        return self.esp.joinpath(*LOADER_PATH.strip("\\").split("\\"))
