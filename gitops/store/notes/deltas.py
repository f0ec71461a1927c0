"""The documents on deltas that were made while nobody waited, and on what boxes were spared by all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DeltaTry:
    """What making a delta came to: its bytes (0: it could not be made), and when (Unix seconds)."""

    size: int
    at: int


@dataclass(frozen=True)
class DeltaWork:
    """What there is by now, and since the beginning. `count`, `size` (bytes): of all that are there; `waiting`: how
    many are to be made; `made`, `failed`, `dropped`, `seconds` (of work): since the store is there; `at`: when this was
    written (Unix seconds); `tried`: OLD/NEW -> what it came to, the newest of them."""

    count: int = 0
    size: int = 0
    waiting: int = 0
    made: int = 0
    failed: int = 0
    dropped: int = 0
    seconds: int = 0
    at: int = 0
    tried: Mapping[str, DeltaTry] = field(default_factory=dict)


@dataclass(frozen=True)
class Spared:
    """Day (`2026-11-29`, UTC) -> bytes that boxes did not fetch, as deltas came in place of whole copies."""

    rows: Mapping[str, int] = field(default_factory=dict)


DELTAS: Mapping[type[object], str] = {DeltaWork: "deltas", Spared: "spared"}
"""Their names (`documents.NAMES`)."""
