"""The box's own services hold off a restart: a call in progress. For a bounded time, and never more.

In: `/run/toweros/hold`, and whatever is in `/run/toweros/hold.d`, which a container gets as a bind; and what user
containers put into the folder of their app (ADR 115). The first line is the reason. Out: why not now. Rules: whatever
is there holds, but is read only if it is a plain file, a piece of it, and never by a link; the time is one for all of
them, and counts from one restart to the next, over starts of the agent and of the box, by a clock that nobody sets:
taking the file away and putting it back, or a newer release, gains nothing.

    veto.holds(bound=7200)      # "held off: a call", None: nothing holds it, or it did for two hours
"""

import os
import stat
from itertools import islice
from pathlib import Path

from toweros_agent.history import History
from toweros_agent.settings import Places
from toweros_agent.turn.proof import ticks

FILE, FOLDER = "hold", "hold.d"
MOST, LINE = 16, 200
"""Files of a folder that are looked at, and characters of a reason."""
MOST_APPS = 256
DEFAULT = 7200
"""Seconds, where no permission says how many."""
SAVED_EVERY = 60.0
NO_REASON = "nobody says why"


def said(places: Places) -> str | None:
    """Why the box shall not restart, in its services' words; None: nothing holds it. Of a user container with the name
    of its app."""
    for path in (places.run / FILE, *_listed(places.run / FOLDER, MOST)):
        if os.path.lexists(path):
            return _first_line(path) or NO_REASON
    for app in _listed(places.holds, MOST_APPS):
        for path in () if app.is_symlink() else _listed(app, MOST):
            return f"{_printable(app.name)}: {_first_line(path) or NO_REASON}"
    return None


def _listed(folder: Path, most: int) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in islice(entries, most))
    except OSError:
        return []


def _first_line(path: Path) -> str:
    """Whose name can be anything: a pipe that hangs whoever opens it, a device, a link to a file of the box."""
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return ""
            with Path(f"/proc/self/fd/{handle}").open("rb") as file:
                line = file.read(4 * LINE).decode(errors="replace").partition("\n")[0]
        finally:
            os.close(handle)
    except OSError:
        return ""
    return _printable(line[:LINE]).strip()


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


class Veto:
    """What is left of the time for which this box may be held off."""

    def __init__(self, places: Places, history: History) -> None:
        self._places, self._history = places, history
        self._at: float | None = None
        self._saved, self.ends, self.over = 0.0, 0, ""

    def holds(self, bound: int, now: int) -> str | None:
        """Asked while it could restart. `ends`: by `now`, when this comes to its end at the latest; `over`: what holds
        it, and does not count any more."""
        memory, tick, reason = self._history.memory, ticks(), said(self._places)
        self.over = ""
        if reason is None:
            self._at = None
            return None
        if self._at is not None:
            memory.vetoed += max(round(tick - self._at), 0)
        else:
            self.ends, self._saved = now + max(bound - memory.vetoed, 0), 0.0
        self._at = tick
        if memory.vetoed >= bound:
            self.over = f"held off for {memory.vetoed // 60} min, which is all that it may be: {reason}"
            return None
        if tick - self._saved >= SAVED_EVERY:
            self._saved = tick
            self._history.save()
        return f"held off: {reason}"

    def rests(self) -> None:
        """It could not restart anyway: that costs nothing of the time."""
        self._at = None
