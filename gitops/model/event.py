"""Something that happened, for people: on the page, in `toweros events` and in the API.

Event(1795000000, "site-7", EventType.NORMAL, Happened.PUBLISHED, "main@sha1:5c1e...: canary")
"""

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    """Whether anybody need look."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Happened(StrEnum):
    """What happened. Beside these, an event has the name of a box's new health, of a refusal or of an error."""

    BUILDING = "Building"
    BUILT = "Built"
    ASSEMBLED = "Assembled"
    PUBLISHED = "Published"
    ELSEWHERE = "Elsewhere"
    """A place of `publish` does not take, or lost, what boxes fetch there; or has all of it again."""
    REMOVED = "Removed"
    REFUSED = "Refused"
    """A box does not take, or cannot be offered, what is there for it."""
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    PROVISIONED = "Provisioned"
    ENROLLED = "Enrolled"
    ASKS = "Asks"
    ADOPTED = "Adopted"
    """A machine that had no name is a box."""
    CLONED = "Cloned"
    """Two machines report with the key of one box."""
    WIPED = "Wiped"
    """A box destroyed its keys and data, as Git asked."""
    REMOTE = "Remote"
    RUNS = "Runs"
    FELL_BACK = "FellBack"
    RETRY = "Retry"
    RESET = "Reset"
    """The watchdog reset a box."""
    COLLECTED = "Collected"
    DAMAGED = "Damaged"
    """A file of the store was not what its name says."""
    RESTORED = "Restored"
    """The controller's state was brought back from a backup."""
    BEHIND = "Behind"
    """A box has seen something newer than this controller knows of, or its clock is behind."""
    FORGE = "Forge"
    NOTIFY = "Notify"
    """Somebody was not told, or nobody knows whether."""
    UPDATES = "Updates"
    PROPOSED = "Proposed"
    """Security updates were offered: on the branch, as a pull request, or by a tag."""
    WITHHELD = "Withheld"
    """Security updates failed, and are not offered again until something new comes."""
    RECORD = "Record"
    """The record of deployments is not, or is again, what the remote has."""
    FEED = "Feed"
    """A feed of advisories is not believed, or is again."""


@dataclass(frozen=True)
class Event:
    """`reason` is one word for monitors; `box` is empty for the controller itself."""

    time: int
    box: str
    type: EventType
    reason: str
    message: str
