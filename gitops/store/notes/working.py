"""The documents on the controller at work: that somebody woke it, and what it makes now."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Woken:
    """How often somebody said that there is something new at the remote, and when last (Unix seconds)."""

    times: int = 0
    at: int = 0


@dataclass(frozen=True)
class Work:
    """What the controller makes now: `subject`, the `number`th `of` so many to `do` (`build`, `assemble`; empty:
    nothing), since when, and when this was written (Unix seconds); `size`: bytes of what it has made of these so far;
    `failed`: how many of them could not be made."""

    do: str = ""
    subject: str = ""
    number: int = 0
    of: int = 0
    since: int = 0
    at: int = 0
    size: int = 0
    failed: int = 0


WORKING: Mapping[type[object], str] = {Woken: "woken", Work: "work"}
"""Their names (`documents.NAMES`)."""
