"""The rows of a report, and its word for how the box is (contracts/report)."""

from dataclasses import dataclass
from enum import StrEnum

from toweros_agent.health.checks import Result
from toweros_agent.nouns import Failure, Reset, Verdict


class Health(StrEnum):
    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"


@dataclass(frozen=True)
class CheckRow:
    """A health check as the report has it."""

    name: str
    ok: bool
    message: str
    restarts: int

    @classmethod
    def of(cls, result: Result) -> "CheckRow":
        return cls(result.name, result.ok, result.message, result.restarts)


@dataclass(frozen=True)
class FailureRow:
    """A failure as the report has it."""

    sequence: int
    release: str
    verdict: Verdict
    reason: str
    time: int
    log: str

    @classmethod
    def of(cls, failure: Failure) -> "FailureRow":
        return cls(failure.sequence, failure.release, failure.verdict, failure.reason, failure.time, failure.log)


@dataclass(frozen=True)
class ResetRow:
    """A reset by the watchdog, as the report has it."""

    sequence: int
    time: int
    doing: str

    @classmethod
    def of(cls, reset: Reset) -> "ResetRow":
        return cls(reset.sequence, reset.time, reset.doing)
