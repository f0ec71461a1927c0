"""What boxes and sites may say, member by member: bounded, strict, and without what PostgreSQL cannot keep.

FirmwareIn.model_validate_json(b'{"secure_boot": true, "setup_mode": false, "keys": {}}')
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gitops.model import Failure, Health, Json, Phase, Report, Reset, Verdict
from gitops.server.boxes import facts, sessions, turns

TEXT = r"^[^\x00]*$"
"""Any but NUL, which PostgreSQL keeps in no text."""
Word = Annotated[str, Field(max_length=100, pattern=TEXT)]
Line = Annotated[str, Field(max_length=4_000, pattern=TEXT)]
Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Base64 = Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Number = Annotated[int, Field(ge=0, lt=1 << 53)]


class Wire(BaseModel):
    """A document from a box: unknown members are for newer servers, and dropped."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class FailureIn(Wire):
    sequence: Number
    release: Digest
    verdict: Verdict
    reason: Line
    time: Number = 0
    log: Annotated[str, Field(max_length=64_000, pattern=TEXT)] = ""


class ResetIn(Wire):
    sequence: Number
    time: Number
    doing: Line


class FirmwareIn(Wire):
    secure_boot: bool
    setup_mode: bool
    keys: Annotated[dict[Word, Digest], Field(max_length=20)]
    grown: Annotated[list[Digest], Field(max_length=20)] | None = None


class TrustedIn(Wire):
    timestamp: Number
    snapshot: Number
    sha256: Digest
    own: bool = False


class RoomIn(Wire):
    toweros: Annotated[Number, Field(gt=0)]
    esp: Annotated[Number, Field(gt=0)]
    back: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class HardwareIn(Wire):
    serial: Annotated[str, Field(max_length=64, pattern=r"^[ -~]*$")] = ""
    macs: Annotated[list[Annotated[str, Field(pattern="^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]], Field(max_length=16)] = []
    ek: Base64 = ""
    bound: Base64 = ""
    proof: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class ReportIn(Wire):
    """The signed document."""

    format: Number
    box: Word
    boot_id: Annotated[str, Field(min_length=1, max_length=64, pattern=TEXT)]
    counter: Number
    time: Number
    agent: Word
    sequence: Number
    release: Digest
    content: Digest
    phase: Phase
    health: Literal[Health.HEALTHY, Health.PROGRESSING, Health.DEGRADED]
    error: Line = ""
    staged: Number = 0
    rollback: Number = 0
    entry: Word = ""
    failures: Annotated[list[FailureIn], Field(max_length=100)] = []
    checks: Annotated[list[Json], Field(max_length=100)] = []
    degraded: Annotated[list[Line], Field(max_length=100)] = []
    fetched: Json = {}
    resets: Annotated[list[ResetIn], Field(max_length=100)] = []
    retried: Annotated[list[Line], Field(max_length=200)] | None = None
    firmware: FirmwareIn | None = None
    trusted: TrustedIn | None = None
    room: RoomIn | None = None
    ssh: Line = ""
    hardware: HardwareIn | None = None
    kept: Literal["", "memory"] = ""
    place: Word = ""
    bundle: Line = ""
    turn: turns.TurnIn | None = None
    remote: sessions.RemoteIn | None = None
    facts: Any = None

    def noun(self) -> Report:
        apart = {"format", "failures", "checks", "degraded", "resets", "retried", "hardware"}
        values = self.model_dump(exclude=apart)
        failures = tuple(Failure(**failure.model_dump()) for failure in self.failures)
        values |= {"checks": tuple(self.checks), "degraded": tuple(self.degraded)}
        values["facts"] = facts.sane(self.facts)
        values["firmware"] = self.firmware and self.firmware.model_dump(exclude_unset=True)
        for name, said in (("turn", self.turn), ("remote", self.remote), ("trusted", self.trusted)):
            values[name] = said and said.model_dump(exclude_unset=True)
        resets = tuple(Reset(**reset.model_dump()) for reset in self.resets)
        retried = None if self.retried is None else tuple(self.retried)
        return Report(**values, failures=failures, resets=resets, retried=retried)
