"""The verdict over the rounds of a trial. Pure.

No single round decides, nor luck at the end of the window. From then on each check is healthy once it has held for
`GOOD` rounds in a row, and `failed` once it has said no for `BAD` rounds in a row; whatever is in between (it flaps, it
is slow, it does not answer) goes on, until `PATIENCE` windows are over: then it has failed. The server must have been
reached within the last `GOOD` rounds; when it was not until patience ended, nobody can tell: `indeterminate`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from toweros_agent.deadlines import GOOD, PATIENCE
from toweros_agent.health.checks import Result
from toweros_agent.nouns import Verdict

BAD = 3
"""Rounds in a row."""


class Outcome(NamedTuple):
    """How a trial ends. No verdict: the release is healthy, and stays."""

    verdict: Verdict | None = None
    reason: str = ""
    check: str = ""
    """The check that it is about."""


@dataclass
class Record:
    """How one check did: rounds in a row that it held, or said no; how often it held; what it said last."""

    good: int = 0
    bad: int = 0
    held: int = 0
    rounds: int = 0
    said: str = ""

    def add(self, result: Result) -> None:
        self.rounds, self.held = self.rounds + 1, self.held + result.ok
        self.good = self.good + 1 if result.ok else 0
        self.bad = self.bad + 1 if result.answered and not result.ok else 0
        self.said = self.said if result.ok else result.message

    def __str__(self) -> str:
        often = f" (it held in {self.held} of {self.rounds} rounds)" if self.held else ""
        return f"{self.said or 'did not hold'}{often}"


@dataclass
class Probation:
    """The trial of one release: rounds come in, a verdict comes out after the window."""

    window: int
    rounds: int = 0
    unreached: int | None = None
    """Rounds since the server was reached last; None: never."""
    checks: dict[str, Record] = field(default_factory=dict)

    def add(self, results: Iterable[Result], reached: bool) -> None:
        self.rounds += 1
        self.unreached = 0 if reached else None if self.unreached is None else self.unreached + 1
        for result in results:
            self.checks.setdefault(result.name, Record()).add(result)

    def outcome(self, elapsed: float) -> Outcome | None:
        """None while it is too early to say."""
        if elapsed < self.window or self.rounds < BAD:
            return None
        late = elapsed >= self.window * PATIENCE and self.rounds >= GOOD
        unsteady = {name: record for name, record in self.checks.items() if record.good < GOOD}
        for name, record in unsteady.items():
            if late or record.bad >= BAD:
                return Outcome(Verdict.FAILED, f"health check {name}: {record}", name)
        if unsteady:
            return None
        if self.unreached is not None and self.unreached < GOOD:
            return Outcome()
        return Outcome(Verdict.INDETERMINATE, "the server was out of reach during probation") if late else None
