"""What a NOC says of itself: docs/formats.md, "NOC".

In: the outcome of each pass. Out: one value for page, JSON and metrics. Rules: what it shows is what boxes get now, not
what the last pass would have liked.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from gitops import __version__
from gitops.model import Json


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

    def words(self, now: float) -> str:
        """In one line."""
        if not self.contact:
            return f"the origin was not reached yet: {self.error}" if self.error else "it begins"
        if self.expires and now > self.expires:
            return f"what is signed here has expired: boxes take nothing from here, and stay as they are: {self.error}"
        if self.since:
            days = (self.expires - now) / 86400
            return f"works without the origin; boxes believe what is signed here for {days:.1f} more days: {self.error}"
        lacking = [name for name, why in self.boxes.items() if why]
        return f"lacks content of {', '.join(lacking[:9])}" if lacking else "up to date"

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
