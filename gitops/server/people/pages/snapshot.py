"""The whole fleet as it is now, in rows, for one page.

In: the store. Out: a `Snapshot`. Rules: it is read anew for each page, unless that takes more than `LONG` seconds: then
it serves for `WORTH` times as long, `OLDEST` at most, and its pages say of when they are.

    snapshots = Snapshots(store)
    snapshots.get().rows
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from gitops.model import Health, Sync
from gitops.review.words import ago
from gitops.rollout.choosing.trouble import trouble, why
from gitops.rollout.places import places
from gitops.rollout.status import BoxStatus, FleetStatus, fleet_status
from gitops.server.people.guard.viewer import Viewer
from gitops.server.people.pages.rows import Row
from gitops.server.people.pages.scope import Scope
from gitops.store import Store
from gitops.store.notes.directory import Place

LONG, WORTH, OLDEST = 0.1, 10, 5.0
NOWHERE = Place()


@dataclass(frozen=True)
class Snapshot:
    """`now`: when it was read (Unix seconds)."""

    now: int
    fleet: FleetStatus
    rows: Sequence[Row]

    @cached_property
    def names(self) -> frozenset[str]:
        """Of the boxes that there are."""
        return frozenset(row.box for row in self.rows)

    @property
    def healths(self) -> list[tuple[Health, int]]:
        """How many boxes there are per health, those that exist only."""
        numbers = Counter(row.health for row in self.rows)
        return [(health, numbers[health]) for health in Health if numbers[health]]

    @property
    def syncs(self) -> list[tuple[Sync, int]]:
        numbers = Counter(row.sync for row in self.rows)
        return [(sync, numbers[sync]) for sync in Sync if numbers[sync]]


class Snapshots:
    """Of one store, for one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[str, tuple[BoxStatus, Place, Row]] = {}
        self._last: Snapshot | None = None
        self._until = 0.0

    def get(self) -> Snapshot:
        begun = time.monotonic()
        if self._last is None or begun >= self._until:
            self._last = self._read()
            took = time.monotonic() - begun
            self._until = time.monotonic() + min(WORTH * took, OLDEST) if took > LONG else 0.0
        return self._last

    def of(self, who: Viewer) -> Snapshot:
        """What somebody may see of it."""
        all_of_it = self.get()
        if who.whole:
            return all_of_it
        there = places(self._store)
        fleet = Scope.by(there, who).fleet(all_of_it.fleet)
        rows = [row_of(box, there.get(box.box, NOWHERE), all_of_it.now) for box in fleet.boxes]
        return Snapshot(all_of_it.now, fleet, rows)

    def _read(self) -> Snapshot:
        """A box that is as it was has the same line, unless that says how long it is silent."""
        now, before = int(time.time()), self._rows
        fleet, there = fleet_status(self._store, now), places(self._store)
        self._rows = {}
        for box in fleet.boxes:
            place, kept = there.get(box.box, NOWHERE), before.get(box.box)
            same = kept and kept[0] is box and (kept[1] is place or kept[1] == place) and box.health != Health.MISSING
            self._rows[box.box] = kept if kept and same else (box, place, row_of(box, place, now))
        return Snapshot(now, fleet, [row for _, _, row in self._rows.values()])


def told(store: Store, rows: Sequence[Row]) -> list[Row]:
    """Rows of one page, with why those are Degraded that are."""
    degraded = [row.box for row in rows if row.health == Health.DEGRADED]
    said = why(store, degraded)
    return [replace(row, trouble=said[row.box]) if row.box in said else row for row in rows]


def row_of(box: BoxStatus, place: Place, now: int) -> Row:
    """A box's line."""
    return Row(
        box.box, box.health, box.sync, place.role, place.site, place.labels, box.wanted, box.running, box.since,
        box.seen, box.held, trouble(box, ago(box.seen, now)), box.phase, box.boot, box.agent, box.kernel,
        box.turn.state if box.turn else "", str(box.turn or ""),
    )  # fmt: skip
