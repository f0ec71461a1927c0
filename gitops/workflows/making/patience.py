"""What does not build is tried again ever more slowly: each poll would begin it anew, for as long as it takes.

patience = Patience()
patience.failed(key, error, pause=30.0)
patience.held(key)      # the error, until 30 s, then 60 s, ... have passed; then None
"""

import time
from dataclasses import dataclass

from gitops.errors import TowerosError

MAX_PAUSE = 600.0
"""Seconds: what cannot be carried out is tried again ever more slowly, up to this."""
MAX_KEYS = 1000
"""Failures that are remembered: the oldest goes."""


@dataclass(frozen=True)
class _Failure:
    error: TowerosError
    pause: float
    until: float


class Patience:
    """Of one process: a new one tries everything."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

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
