"""What the box says of itself, signed with its own key (contracts/report).

A report is sent when anything but its time changed, and every `REPEAT` seconds. When the server is away it stays due;
the newest one then tells everything, failures included, because those are kept on the disk. The counter is the
milliseconds since boot: it rises within a boot id and needs no memory.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from toweros_agent import VERSION
from toweros_agent.health.checks import Result
from toweros_agent.machine import State
from toweros_agent.nouns import FORMAT, Failure, Json, Reset, Verdict, canonical
from toweros_agent.offer.net import Http, NetError

REPEAT = 600.0


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


@dataclass(frozen=True)
class Report:
    """The report, without what changes by itself. Its members are those of the document."""

    sequence: int
    release: str
    content: str
    phase: State
    health: Health
    error: str
    staged: int
    rollback: int
    entry: str
    degraded: Sequence[str]
    checks: Sequence[CheckRow]
    fetched: Json
    failures: Sequence[FailureRow]
    resets: Sequence[ResetRow] = ()


class Reporter:
    """Posts the reports of `box`; `key` is its Ed25519 key in PKCS 8 PEM."""

    def __init__(self, http: Http, server: str, box: str, key: Path, boot_id: Path) -> None:
        self.http, self.box, self.key, self.boot_id = http, box, key, boot_id
        self.url = f"{server}/api/v1/boxes/{box}/report"
        self._sent: Report | None = None
        self._at = 0.0
        self._signer: Any = None

    def offer(self, report: Report) -> str:
        """Send `report` if it is due; return what went wrong ("" when nothing did)."""
        now = time.monotonic()
        if report == self._sent and now - self._at < REPEAT:
            return ""
        try:
            self.http.post(self.url, self.signed(report))
        except (NetError, OSError, ValueError) as error:
            return f"the report was not taken: {error}"
        self._sent, self._at = report, now
        return ""

    def signed(self, report: Report) -> bytes:
        """The whole request: report text and signature."""
        boot_id = self.boot_id.read_text().strip()
        counter = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        head = {"format": FORMAT, "box": self.box, "boot_id": boot_id, "counter": counter, "agent": VERSION}
        text = canonical({**asdict(report), **head, "time": int(time.time())})
        return canonical({"report": text.decode(), "signature": self._sign(text).hex()})

    def _sign(self, text: bytes) -> bytes:
        if self._signer is None:
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            self._signer = load_pem_private_key(self.key.read_bytes(), None)
        signature: bytes = self._signer.sign(text)
        return signature
