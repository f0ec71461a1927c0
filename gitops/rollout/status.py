"""How the fleet is, in the words that people and monitors read: the page, the API, the metrics and `toweros status`.

status = fleet_status(store, now)
status.as_json()        # docs/formats.md
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from gitops.model import BoxState, Health, Json, Sync
from gitops.store import Store
from gitops.store.notes.documents import Exposures, FeedState, Status


@dataclass(frozen=True)
class BoxStatus:
    """One box. `wanted` and `running` are revisions (or `release N`); `since` and `seen` Unix seconds, 0: never."""

    box: str
    sync: Sync
    health: Health
    wanted: str
    running: str
    sequence: int
    phase: str
    since: int
    seen: int
    error: str = ""
    fell_back: str = ""
    fell_back_log: str = ""
    held: str = ""
    revoked: bool = False

    @classmethod
    def of(cls, state: BoxState, now: int) -> "BoxStatus":
        # Who runs what it is asked to run, and is well, has it behind it.
        healed = state.sync == Sync.SYNCED and state.reported == Health.HEALTHY
        failures = () if healed else state.failures
        last = max(failures, key=lambda failure: failure.time, default=None)
        return cls(
            box=state.name,
            sync=state.sync,
            health=state.health(now),
            wanted=state.wanted.revision,
            running=(state.running.revision or f"release {state.running.sequence}") if state.received else "",
            sequence=state.running.sequence,
            phase=state.phase or "",
            since=state.since,
            seen=state.received,
            error=state.error,
            fell_back=f"release {last.sequence}: {last.verdict}: {last.reason}" if last else "",
            fell_back_log=last.log if last else "",
            held=str(state.hold or ""),
            revoked=bool(state.revoked),
        )

    def as_json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True)
class FleetStatus:
    """All boxes, and the controller's own last words."""

    boxes: tuple[BoxStatus, ...]
    controller: Status
    exposures: Exposures = field(default_factory=Exposures)
    feeds: Mapping[str, FeedState] = field(default_factory=dict)

    def as_json(self) -> Json:
        return {"controller": _last_passes(self.controller), "boxes": [box.as_json() for box in self.boxes]}


def _last_passes(status: Status) -> Json:
    """Empty before the first pass; what belongs to a failure is there while it lasts."""
    absent = set() if status.error else {"hint", "reason", "since"}
    absent |= set() if status.warnings else {"warnings"}
    members = {name: value for name, value in asdict(status).items() if name not in absent}
    return members if status.polled else {}


def fleet_status(store: Store, now: int) -> FleetStatus:
    """What the store knows of everything, at `now`."""
    boxes = tuple(BoxStatus.of(state, now) for state in store.states.all())
    exposures = store.notes.get(Exposures) or Exposures()
    return FleetStatus(boxes, store.notes.get(Status) or Status(), exposures, store.notes.each(FeedState))


def box_status(store: Store, box: str, now: int) -> BoxStatus | None:
    """One box, or None when there is none of this name."""
    state = store.states.one(box)
    return BoxStatus.of(state, now) if state else None
