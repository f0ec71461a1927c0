"""What deltas cost and spare, for people and monitors.

In: the store. Out: `Figures`. Rules: a document that is damaged counts as not there: the next look writes it again.

    figures(store, now).spared      # bytes that boxes did not fetch in the last seven days
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from gitops.errors import StoreError
from gitops.store import LeaseError, Store
from gitops.store.notes.deltas import DeltaWork, Spared

T = TypeVar("T", DeltaWork, Spared)
WEEK = 7


@dataclass(frozen=True)
class Figures:
    """Deltas that are there, their bytes, how many are to be made, seconds of work altogether; bytes that boxes were
    spared in the last seven days, as they say."""

    count: int
    size: int
    waiting: int
    seconds: int
    spared: int

    def __str__(self) -> str:
        there = f"{self.count} of {_size(self.size)}" + f", {self.waiting} more to be made" * bool(self.waiting)
        return there + f"; boxes were spared {_size(self.spared)} in {WEEK} days" * bool(self.spared)


def figures(store: Store, now: int) -> Figures:
    """At `now` (Unix seconds)."""
    work, spared = _kept(store, DeltaWork), _kept(store, Spared)
    first = (datetime.fromtimestamp(now, UTC) - timedelta(days=WEEK - 1)).strftime("%Y-%m-%d")
    week = sum(size for day, size in spared.rows.items() if day >= first)
    return Figures(work.count, work.size, work.waiting, work.seconds, week)


def _kept(store: Store, kind: type[T]) -> T:
    try:
        return store.notes.get(kind) or kind()
    except LeaseError:
        raise
    except StoreError:
        return kind()


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size < 1 << 30 else f"{size / (1 << 30):.1f} GiB"
