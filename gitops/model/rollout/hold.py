"""Why a box does not take the release that it is wanted to run.

Hold(HoldReason.WAITS_FOR_CANARY, "a: Progressing")     # as text: "waits for canary a: Progressing"
"""

from dataclasses import dataclass
from enum import StrEnum


class HoldReason(StrEnum):
    """What keeps a box from its release."""

    SUSPENDED = "suspended"
    """Somebody holds it."""
    WAITS_FOR_CANARY = "waits-for-canary"
    STOPPED = "stopped"
    """Too many boxes of its role failed on the release."""
    FROZEN = "frozen"
    WAITS_FOR_WINDOW = "waits-for-window"
    WAITS_FOR_WAVE = "waits-for-wave"
    WAVE_STOPPED = "wave-stopped"
    """More boxes of a wave are in trouble than may be."""
    WAITS_FOR_NEIGHBOUR = "waits-for-neighbour"
    WAITS_FOR_ROOM = "waits-for-room"
    """As many restart as may."""
    CANNOT_BE_OFFERED = "cannot-be-offered"
    """Files are missing, the sequence would fall, or its agent reads another format."""
    REMOVED = "removed"
    """Git no longer has the box."""


TEXTS = {
    HoldReason.SUSPENDED: "held: {}",
    HoldReason.WAITS_FOR_CANARY: "waits for canary {}",
    HoldReason.STOPPED: "stopped: failed on {}",
    HoldReason.FROZEN: "frozen: {}",
    HoldReason.WAITS_FOR_WINDOW: "waits {}",
    HoldReason.WAITS_FOR_WAVE: "waits for wave {}",
    HoldReason.WAVE_STOPPED: "stopped: wave {}",
    HoldReason.WAITS_FOR_NEIGHBOUR: "waits for its neighbour {}",
    HoldReason.WAITS_FOR_ROOM: "waits: {}",
    HoldReason.CANNOT_BE_OFFERED: "cannot be offered: {}",
    HoldReason.REMOVED: "Git no longer has it",
}


@dataclass(frozen=True)
class Hold:
    """A reason, and in `detail` who, which boxes or what: words for people."""

    reason: HoldReason
    detail: str = ""

    def __str__(self) -> str:
        return TEXTS[self.reason].format(self.detail)
