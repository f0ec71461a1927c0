"""What a NOC says of itself: docs/formats.md, "NOC".

In: the outcome of each pass. Out: one value for page, JSON and metrics. Rules: what it shows is what boxes get now, not
what the last pass would have liked.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from gitops import __version__
from gitops.model import Json
from gitops.noc.whose.chosen import Chosen


class Outcome(StrEnum):
    """What became of building a release again."""

    SAME = "same"
    DIFFERENT = "different"
    REFUSED = "refused"
    """The policy does not let its commit deploy."""
    FAILED = "failed"
    """Nobody can tell: it does not build here, or the fleet repo is away."""


@dataclass(frozen=True)
class Proof:
    """A release that was built again here; `key`: which one. `says`: in words; `parts`: what differs, and where inside;
    `at`: Unix seconds; not `whole`: it is looked at again, as some of what the origin has was not here."""

    key: str
    outcome: Outcome
    says: str
    at: int
    parts: tuple[str, ...] = ()
    whole: bool = True

    @property
    def alarm(self) -> bool:
        return self.outcome in (Outcome.DIFFERENT, Outcome.REFUSED)


@dataclass(frozen=True)
class State:
    """`contact`: when the origin was last reached, and what it signed was believed; `since`: since when it is not,
    0: it is. `error`: why; `boxes`: box -> what it lacks, "" nothing; `expires`: until when boxes take what is shown.
    All times are Unix seconds. `waiting`: box -> reports that the origin has not got."""

    name: str
    origin: str
    started: int
    version: str = __version__
    contact: int = 0
    since: int = 0
    error: str = ""
    expires: int = 0
    boxes: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    used: int = 0
    most: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0
    bundle: str = ""
    """What became of the last one that was plugged in."""
    site: str = ""
    labels: tuple[str, ...] = ()
    """Whose content it keeps, by Git's word."""
    proofs: Mapping[str, Proof] = field(default_factory=dict)
    """Box -> what became of building its release here; empty: this NOC builds nothing."""

    fallen: Mapping[str, str] = field(default_factory=dict)
    """Box -> that the network started what it is offered three times in vain, and what it is handed instead."""

    @property
    def alarms(self) -> list[str]:
        """Boxes whose release is not what Git says."""
        return sorted(name for name, proof in self.proofs.items() if proof.alarm)

    def words(self, now: float) -> str:
        """In one line."""
        if alarms := self.alarms:
            first = f"{alarms[0]}: {self.proofs[alarms[0]].says}"
            more = f" (and {len(alarms) - 1} more boxes)" if alarms[1:] else ""
            return f"ALARM: the origin offers what Git does not say: {first}{more}; {self._usual(now)}"[:4000]
        return self._usual(now)

    def _usual(self, now: float) -> str:
        if not self.contact:
            return f"the origin was not reached yet: {self.error}" if self.error else "it begins"
        if self.expires and now > self.expires:
            return f"what is signed here has expired: boxes take nothing from here, and stay as they are: {self.error}"
        if self.since:
            days = (self.expires - now) / 86400
            return f"works without the origin; boxes believe what is signed here for {days:.1f} more days: {self.error}"
        lacking = [name for name, why in self.boxes.items() if why]
        if (chosen := Chosen(self.site, self.labels)) and not self.boxes:
            return f"no box that the origin offers something says `{chosen.words}`"
        if lacking:
            return f"lacks content of {', '.join(lacking[:9])}"
        fell = [f"{box}: {why}" for box, why in self.fallen.items()]
        return fell[0] if fell else "up to date"

    def as_json(self, now: float) -> Json:
        return {"format": 1, **asdict(self), "says": self.words(now)}


class Told:
    """The state, as server and pass share it."""

    def __init__(self, state: State) -> None:
        self._state, self._lock = state, threading.Lock()

    def get(self) -> State:
        with self._lock:
            return self._state

    def change(self, **values: object) -> State:
        with self._lock:
            self._state = replace(self._state, **values)  # type: ignore[arg-type]
            return self._state

    def reached(self, **values: object) -> State:
        """The origin was there."""
        return self.change(contact=int(time.time()), since=0, error="", **values)

    def failed(self, error: str) -> State:
        since = self.get().since or int(time.time())
        return self.change(since=since, error=error[:2000])
