"""The wait for a name: show the code, look for the signed word, remember it.

In: signed metadata, the machine's key. Out: its name, once somebody gave it one. Rules: only signed metadata give a
name, and only to this machine's own key, so that neither the update server nor who is on the way can; what is answered
to a report gives none. The code is shown on the console and the screen, at the beginning and now and then.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from toweros_agent.host.boot import DISK, Boot
from toweros_agent.joining.endorsement import Endorsement
from toweros_agent.joining.hardware import hardware
from toweros_agent.joining.name import is_new, keep
from toweros_agent.nouns import Json
from toweros_agent.offer.repository import own_of
from toweros_agent.offer.trust import Trust
from toweros_agent.outgoing.identity import Identity
from toweros_agent.report import Report, Reporter
from toweros_agent.settings import Places

SHOWN_EVERY = 300.0
GROUP, DIGITS = 4, 20
"""A code is 80 bits of the key's SHA-256."""


class Joining:
    """One machine that has no name yet."""

    def __init__(self, places: Places, trust: Trust, identity: Identity, log: Callable[[str], None]) -> None:
        self.trust, self.identity, self._log = trust, identity, log
        self._consoles = (places.console, places.screen)
        self._sys, self._stick = places.sys, places.run / "key"
        self._shown = float("-inf")
        self._looked = False
        self._hardware: Json | None = None
        self._tpm = self.identity.tpm

    @property
    def hardware(self) -> Json:
        """What it says of itself: read once a boot, and what its TPM proves by now."""
        if self._hardware is None:
            self._hardware = hardware(self._sys)
            self._endorsement = Endorsement(self._tpm, self.identity.public)
        return self._hardware | self._endorsement.words(self.trust.http.challenge)

    def name(self) -> str:
        """The name that signed metadata give this machine's key, "" while there is none. Raises as `Trust.offer`."""
        self._show()
        if not self.trust.changed(own_of("", self.identity.public)) and self._looked:
            return ""
        name = self.trust.name_of(self.identity.public)
        self._looked = True
        if name:
            self._log(f"this machine is {name}: signed metadata say so of its key")
        return name

    def become(self, name: str, boot: Boot, reporter: Reporter) -> Boot:
        """From now on this machine is that box, also after its next start. Raises `OSError`."""
        keep(self.identity.own.parent, name)
        self._keep_on_stick(name, boot)
        self.trust.box = name
        reporter.speak_as(name)
        return replace(boot, box=name)

    def _keep_on_stick(self, name: str, boot: Boot) -> None:
        """Where the disk is memory: without, a server has to give the name again at each start."""
        if boot.place == DISK or not self._stick.is_dir():
            return
        try:
            keep(self._stick, name)
        except OSError as error:
            self._log(f"the key stick does not have the machine's name: {error}")

    def told(self, report: Report, boot: Boot) -> Report:
        """The report, with what only some machines say."""
        kept = "memory" if self.identity.lost_with_power else ""
        place = "" if boot.place == DISK else boot.place
        return replace(report, hardware=self.hardware if is_new(boot.box) else None, kept=kept, place=place)

    def _show(self) -> None:
        """On the serial line and on the screen, wherever somebody looks; what takes nothing holds nobody."""
        if time.monotonic() - self._shown < SHOWN_EVERY:
            return
        self._shown = time.monotonic()
        words = f"this machine has no name yet; its code is {code(self.identity.public)}"
        self._log(words)
        for console in self._consoles:
            say(console, f"\r\nTowerOS: {words}\r\n    toweros box adopt CODE --name NAME\r\n")


def code(public: str) -> str:
    """What people compare: the first groups of the key's fingerprint."""
    digest = sha256(bytes.fromhex(public)).hexdigest()[:DIGITS]
    return "-".join(digest[start : start + GROUP] for start in range(0, DIGITS, GROUP))


def say(console: Path, words: str) -> None:
    """As far as the console takes it now."""
    try:
        handle = os.open(console, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return
    try:
        os.write(handle, words.encode())
    except OSError:
        pass
    finally:
        os.close(handle)
