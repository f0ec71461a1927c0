"""When what is tried again: what does not build, ever more slowly, as each poll would begin it anew, for as long as it
takes; the remote, after a pause, or as soon as a forge says that there is something new.

patience = Patience()
patience.failed(key, error, pause=30.0)
patience.held(key)      # the error, until 30 s, then 60 s, ... have passed; then None
patience.rest(store, stop, 30.0)
"""

import threading
import time
from dataclasses import dataclass

from gitops.errors import StoreError, TowerosError
from gitops.store import Store
from gitops.store.notes.working import Woken
from gitops.workflows.making.progress import clear

MAX_PAUSE = 600.0
"""Seconds: what cannot be carried out is tried again ever more slowly, up to this."""
MAX_KEYS = 1000
"""Failures that are remembered: the oldest goes."""
LOOK, LEAST = 1.0, 3.0
"""Seconds between two looks whether somebody woke us, and between two passes, however often somebody does."""


@dataclass(frozen=True)
class _Failure:
    error: TowerosError
    pause: float
    until: float


class Patience:
    """Of one process: a new one tries everything."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}
        self._began, self._woken = time.time(), -1

    def held(self, key: str) -> TowerosError | None:
        """Why it is not tried now."""
        failure = self._failures.get(key)
        return failure.error if failure and time.monotonic() < failure.until else None

    def failed(self, key: str, error: TowerosError, pause: float) -> None:
        """It failed; `pause`: seconds until it would be tried anyway, which is soon enough for the second time."""
        before, now = self._failures.pop(key, None), time.monotonic()
        again = min(before.pause * 2, MAX_PAUSE) if before else pause
        self._failures[key] = _Failure(error, again, now + again if before else now)
        while len(self._failures) > MAX_KEYS:
            self._failures.pop(next(iter(self._failures)))

    def rest(self, store: Store, stop: threading.Event, seconds: float) -> None:
        """Between two passes: until the pause is over, `stop` is set, or somebody woke us since the last one began."""
        clear(store)
        begun = time.monotonic()
        if self._woken < 0:
            said = _woken(store)
            self._woken = said.times - (said.at >= int(self._began))
        while not stop.is_set() and (passed := time.monotonic() - begun) < seconds:
            if passed >= LEAST and _woken(store).times != self._woken:
                break
            stop.wait(min(LOOK, seconds - passed))
        self._woken = _woken(store).times


def _woken(store: Store) -> Woken:
    """A store that is away is told of by the next pass."""
    try:
        return store.notes.get(Woken) or Woken()
    except StoreError:
        return Woken()
