"""What a box says of itself (contracts/report)."""

from dataclasses import dataclass, field
from enum import StrEnum

from gitops.model.digest import Json

REPORT_FORMAT = 1


class Health(StrEnum):
    """How a box is. It reports one of the first three; the others are what the controller says of it."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    """Somebody holds it."""
    LATE = "Late"
    """It missed three of its looks at the server; the rollout goes by what it said."""
    MISSING = "Missing"
    """It has been silent too long."""
    UNKNOWN = "Unknown"
    """It never reported."""
    WIPED = "Wiped"
    """Git asked for its end, and its last report said so."""


class Phase(StrEnum):
    """The state of the box's agent (pkg/agent, machine.py)."""

    STARTING = "starting"
    PROBATION = "probation"
    IDLE = "idle"
    FETCHING = "fetching"
    STAGING = "staging"
    REBOOTING = "rebooting"
    WIPING = "wiping"
    """Its last word: Git asked for its end."""


class Verdict(StrEnum):
    """Why a box went back from a release."""

    FAILED = "failed"
    """A health check said no: it is never tried again."""
    INDETERMINATE = "indeterminate"
    """Nobody could tell: it is tried again later."""


@dataclass(frozen=True)
class Failure:
    """A release that the box went back from."""

    sequence: int
    release: str
    verdict: Verdict
    reason: str
    time: int = 0
    log: str = ""


@dataclass(frozen=True)
class Reset:
    """The watchdog reset the box: which release ran (0: not known), when, and what the agent was doing."""

    sequence: int
    time: int
    doing: str


@dataclass(frozen=True)
class Report:
    """What a box says of itself, signature checked (contracts/report)."""

    box: str
    boot_id: str
    counter: int
    time: int
    agent: str
    sequence: int
    release: str
    content: str
    phase: Phase
    health: Health
    error: str = ""
    staged: int = 0
    rollback: int = 0
    failures: tuple[Failure, ...] = ()
    checks: tuple[Json, ...] = ()
    fetched: Json = field(default_factory=dict)
    entry: str = ""
    degraded: tuple[str, ...] = ()
    resets: tuple[Reset, ...] = ()
    retried: tuple[str, ...] | None = None
    """The reasons to retry that it used; None: its agent knows of none."""
    firmware: Json | None = None
    """Secure Boot's state and keys; None: an older agent, or no UEFI."""
    trusted: Json | None = None
    """Versions of `timestamp` and `snapshot` that it believes, and the timestamp's `sha256`; None: an older agent."""
    room: Json | None = None
    """All blocks of TOWEROS (`toweros`) and of the ESP (`esp`), in bytes, and the release that it would go back to
    (`back`, the document's digest; empty: none); None: an older agent."""
    ssh: str = ""
    """Its SSH host key, `ssh-ed25519 AAAA...`; empty: an older agent, or no sshd with STATE."""
    kept: str = ""
    """`memory`: its key is gone with its power; empty: it lasts."""
    place: str = ""
    """Where its layers lie: `medium`, `ram`; empty: on its disk, or an older agent."""
    bundle: str = ""
    """What becomes of the stick that is plugged in; empty: there is none, or an older agent."""
    turn: Json | None = None
    """What it is to take, and waits for (`gitops.model.rollout.turns.BoxTurn`); None: an older agent."""
    facts: Json | None = None
    """What operators ask for, as far as it is sane (server/boxes/facts.py); None: an older agent."""
    remote: Json | None = None
    """Its last session of somebody who came in through the server; None: none in this boot, or an older agent."""
