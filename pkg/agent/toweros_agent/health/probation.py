"""The verdict over the rounds of a trial. Pure.

A trial is healthy when, at the end of its window, every check has held for the last `STEADY` rounds and the server was
reached as before; a check that says no is `failed`, a server out of reach is `indeterminate`. What does not answer may
only be slow: it is waited for, `PATIENCE` windows in all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from toweros_agent.deadlines import PATIENCE
from toweros_agent.health.checks import Result
from toweros_agent.nouns import Verdict

STEADY = 3


class Outcome(NamedTuple):
    """How a trial ends. No verdict: the release is healthy, and stays."""

    verdict: Verdict | None = None
    reason: str = ""


@dataclass
class Probation:
    """The trial of one release: rounds come in, a verdict comes out at the end of the window."""

    window: int
    rounds: int = 0
    reached: bool = False
    steady: dict[str, int] = field(default_factory=dict)
    last: dict[str, Result] = field(default_factory=dict)

    def add(self, results: Iterable[Result], reached: bool) -> None:
        self.rounds += 1
        self.reached |= reached
        for result in results:
            self.steady[result.name] = self.steady.get(result.name, 0) + 1 if result.ok else 0
            if not result.ok or result.name not in self.last:
                self.last[result.name] = result

    def outcome(self, elapsed: float) -> Outcome | None:
        """None while it is too early to say."""
        if elapsed < self.window or self.rounds < STEADY:
            return None
        late = elapsed >= self.window * PATIENCE
        unsteady = [name for name, held in self.steady.items() if held < STEADY]
        for name in unsteady:
            coming = self.steady[name] > 0 or not self.last[name].answered
            if late or not coming:
                return Outcome(Verdict.FAILED, f"health check {name}: {self.last[name].message or 'did not hold'}")
        if unsteady or not (self.reached or late):
            return None
        if self.reached:
            return Outcome()
        return Outcome(Verdict.INDETERMINATE, "the server was out of reach during probation")
