"""What a box says of itself (docs/formats.md, "Report")."""

from dataclasses import dataclass, field

from gitops.model.digest import Json

REPORT_FORMAT = 1


@dataclass(frozen=True)
class Failure:
    """A release that the box went back from. `verdict` is `failed` (never again) or `indeterminate` (again later)."""

    sequence: int
    release: str
    verdict: str
    reason: str
    time: int = 0
    log: str = ""


@dataclass(frozen=True)
class Report:
    """What a box says of itself, signature checked (docs/formats.md, "Report")."""

    box: str
    boot_id: str
    counter: int
    time: int
    agent: str
    sequence: int
    release: str
    content: str
    phase: str
    health: str
    error: str = ""
    staged: int = 0
    rollback: int = 0
    failures: tuple[Failure, ...] = ()
    checks: tuple[Json, ...] = ()
    fetched: Json = field(default_factory=dict)
    entry: str = ""
    degraded: tuple[str, ...] = ()
