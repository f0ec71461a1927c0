"""How a box is: everything that is asked of every box, as one value.

In: columns of the store. Out: what follows from them, on two axes. Pure; what depends on the time takes `now`.

    sync    Synced: it runs the content it is asked to run; OutOfSync; Unknown: it never reported, or nothing is asked
    health  what it says (Healthy, Progressing, Degraded), or Suspended (held), Late, Missing (silent too long), Unknown

    state = store.states.one("site-7")
    state.sync, state.health(now)       # Sync.SYNCED, Health.HEALTHY
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from gitops.model.machines.silence import POLL, REPEAT, UNSAID, Silence
from gitops.model.report import Failure, Health, Phase
from gitops.model.rollout.hold import Hold, HoldReason

SILENT = int(UNSAID.missing)
"""Seconds without a report after which a box is Missing that says nothing of its poll."""


class Sync(StrEnum):
    """Whether a box runs what it is asked to run."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Version:
    """A release by its digests; all empty: there is none."""

    release: str = ""
    content: str = ""
    revision: str = ""
    """As people read it; empty for a release that is no longer remembered."""
    sequence: int = 0


@dataclass(frozen=True)
class BoxState:
    """One box. Times are Unix seconds, 0: never. `reported` is the health of its last report."""

    name: str
    enrolled: int = 0
    revoked: int = 0
    published: Version = Version()
    candidate: Version = Version()
    hold: Hold | None = None
    received: int = 0
    since: int = 0
    running: Version = Version()
    phase: Phase | None = None
    reported: Health = Health.UNKNOWN
    error: str = ""
    failures: tuple[Failure, ...] = ()
    failed: frozenset[str] = frozenset()
    """Contents that it reported `failed` for."""
    poll: int = POLL
    every: int = REPEAT
    """How often it looks at the server, and how soon it said that it speaks again (seconds)."""
    facts: str = field(default="", compare=False)
    """What else it said, as it is kept (`BoxFacts`): read by who shows it."""
    damaged: str = ""
    """What of its rows cannot be read; the rest of this is what can be."""

    @property
    def wanted(self) -> Version:
        """What it is asked to run: what waits for its turn counts before what it is offered."""
        return self.candidate if self.candidate.release else self.published

    @property
    def gone(self) -> bool:
        """Whether neither Git nor anybody who has a key knows of it any more: nobody waits for its reports."""
        return bool(self.revoked) and not self.wanted.release

    @property
    def sync(self) -> Sync:
        if not self.received or not self.wanted.release:
            return Sync.UNKNOWN
        return Sync.SYNCED if self.running.content == self.wanted.content else Sync.OUT_OF_SYNC

    @property
    def taken(self) -> bool:
        """Whether it says that it runs what it is offered."""
        return bool(self.received and self.published.release) and self.running.content == self.published.content

    @property
    def settled(self) -> bool:
        """Whether it runs what it is offered, with its probation behind it."""
        return self.taken and self.phase == Phase.IDLE and self.reported == Health.HEALTHY

    @cached_property
    def silence(self) -> Silence:
        """How long it may say nothing."""
        return Silence.of(self.poll, self.every, busy=self.phase not in (None, Phase.IDLE))

    def heard(self, now: float) -> Health:
        """What it says of itself, as long as it says anything."""
        if not self.enrolled or not self.received:
            return Health.UNKNOWN
        return Health.MISSING if now - self.received > self.silence.missing else self.reported

    def health(self, now: float) -> Health:
        """As `heard`; Suspended while somebody holds it, and Late while it should have said something."""
        heard = self.heard(now)
        if heard in (Health.UNKNOWN, Health.MISSING):
            return heard
        if self.hold is not None and self.hold.reason == HoldReason.SUSPENDED:
            return Health.SUSPENDED
        return Health.LATE if now - self.received > self.silence.late else heard
