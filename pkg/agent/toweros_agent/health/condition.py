"""How the running release does, from the rounds of its health checks (checks.py)."""

import time
from collections.abc import Callable

from toweros_agent.deadlines import PATIENCE
from toweros_agent.health.checks import Checker, Kind, Result, Surroundings
from toweros_agent.health.keeper import Keeper
from toweros_agent.health.probation import Outcome, Probation
from toweros_agent.nouns import Release

HEALTH_EVERY = 60.0
"""Seconds between two health rounds of a blessed release that is well."""


class Condition:
    """The results of the last round. `began`: since when all services are made (monotonic); infinity until then."""

    def __init__(
        self, running: Release, surroundings: Surroundings, tick: Callable[[], None], began: Callable[[], float]
    ) -> None:
        self.checks, self.began = running.checks, began
        self.results: list[Result] = []
        self.probation = Probation(running.probation)
        self._checker = Checker(running.checks, surroundings, tick)
        self.keeper = Keeper(surroundings)
        self._checked = -HEALTH_EVERY

    def try_out(self, reached: Callable[[], bool]) -> Outcome | None:
        """One round of a trial; `reached` says whether the server is, and is asked after the checks."""
        self._round()
        self.probation.add(self.results, reached())
        return self.probation.outcome(time.monotonic() - self.began())

    def names(self, check: str) -> list[str]:
        """What the service of a check may be called."""
        targets = [each.target for each in self.checks if each.name == check and each.type != Kind.HTTP]
        return [*targets, check.removeprefix("service ")]

    def refresh(self) -> None:
        """Another round, if one is due."""
        if not self.well or time.monotonic() - self._checked >= HEALTH_EVERY:
            self._round()

    def _round(self) -> None:
        self.results, self._checked = self._checker.round(), time.monotonic()
        self.keeper.look()

    @property
    def well(self) -> bool:
        """Every check holds; none has been asked yet is not well."""
        return len(self.results) >= len(self.checks) and all(result.ok for result in self.results)

    @property
    def coming(self) -> bool:
        """What is not well may only be slow: it never answered, and there is time left."""
        silent = all(result.ok or not result.answered for result in self.results)
        windows = PATIENCE if silent else 1
        return not self.well and time.monotonic() - self.began() < self.probation.window * windows
