"""How the fleet is, in the words that people and monitors read: the page, the API, the metrics and `toweros status`.

status = fleet_status(store, now)
status.as_json()        # docs/formats.md
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields

import structlog

from gitops.errors import StoreError
from gitops.model import BoxState, Health, Json, Phase, Sync
from gitops.model.machines.newcomer import code
from gitops.model.rollout.turns import BoxTurn
from gitops.rollout.leases.said import of as of_turn
from gitops.rollout.leases.said import said as said_of_turns
from gitops.rollout.leases.told import told
from gitops.rollout.media import MEDIUM, boots
from gitops.rollout.places import places
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.directory import Place
from gitops.store.notes.documents import Exposures, FeedState, Status, decode
from gitops.store.notes.newcomers import Newcomer, Newcomers
from gitops.store.notes.reported import BoxFacts
from gitops.store.notes.wiped import Wiped

log = structlog.get_logger(__name__)

UNCHECKED = "not verified by firmware"
SELDOM = ("role", "site", "agent", "kernel", "addresses", "came", "turn")
"""Members that are there where they say something."""
FROM_MEDIUM = "from a medium, which takes no newer release (docs/media.md)"

LIVES = "it said that it wipes itself, and is heard since: its disk cannot be written, or somebody has a copy of it"


@dataclass(frozen=True)
class BoxStatus:
    """One box. `boot`: that nothing checks how it starts, or that it takes no release; empty: its firmware checks, and
    it does, or nobody knows.
    `came`: who brought its last update, where that was not the server alone: `bundle`, `noc`.
    `wanted` and `running` are revisions (or `release N`); `since` and `seen` Unix seconds, 0: never."""

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
    boot: str = ""
    came: tuple[str, ...] = ()
    turn: BoxTurn | None = None
    """What it has, and waits for, before it restarts; None: its agent knows no turns."""
    role: str = ""
    site: str = ""
    """As Git says, at the last pass."""
    agent: str = ""
    kernel: str = ""
    addresses: tuple[str, ...] = ()
    """As it says; empty: an older agent."""

    @classmethod
    def of(
        cls,
        state: BoxState,
        now: int,
        boot: BootChecked | None = None,
        wiped: Collection[str] = (),
        turn: BoxTurn | None = None,
        place: Place | None = None,
        facts: BoxFacts | None = None,
    ) -> "BoxStatus":
        # Who runs what it is asked to run, and is well, has it behind it.
        healed = state.sync == Sync.SYNCED and state.reported == Health.HEALTHY
        failures = () if healed else state.failures
        last = max(failures, key=lambda failure: failure.time, default=None)
        ended, lives = state.name in wiped, state.phase != Phase.WIPING
        return cls(
            box=state.name,
            sync=state.sync,
            health=(Health.DEGRADED if lives else Health.WIPED) if ended else state.health(now),
            wanted=state.wanted.revision,
            running=(state.running.revision or f"release {state.running.sequence}") if state.received else "",
            sequence=state.running.sequence,
            phase=state.phase or "",
            since=state.since,
            seen=state.received,
            error=state.error or (LIVES if ended and lives else ""),
            fell_back=f"release {last.sequence}: {last.verdict}: {last.reason}" if last else "",
            fell_back_log=last.log if last else "",
            held=str(state.hold or ""),
            revoked=bool(state.revoked),
            boot=_boot(boot) if boot else "",
            came=boot.came if boot else (),
            turn=turn,
            role=place.role if place else "",
            site=place.site if place else "",
            agent=facts.agent if facts else "",
            kernel=facts.kernel if facts else "",
            addresses=facts.addresses if facts else (),
        )

    def as_json(self) -> Json:
        """What monitors read of every box; `boot` is said of one that is asked for. What is not known is not there."""
        values = {name: getattr(self, name) for name in MEMBERS}  # `asdict` copies all, which takes ten times as long
        values |= {"turn": asdict(self.turn) if self.turn else None}
        return {name: value for name, value in values.items() if value or name not in SELDOM}


MEMBERS = tuple(each.name for each in fields(BoxStatus) if each.name != "boot")


def _boot(said: BootChecked) -> str:
    words = [FROM_MEDIUM] * (said.place == MEDIUM) + [UNCHECKED] * (not said.checked)
    return "; ".join(words)


@dataclass(frozen=True)
class Pending:
    """A machine that has no name yet. `says` is who it is by now, or why it gets no name; `since` and `seen` are Unix
    seconds."""

    code: str
    role: str
    serial: str
    macs: tuple[str, ...]
    address: str
    since: int
    seen: int
    says: str = ""

    @classmethod
    def of(cls, key: str, each: Newcomer) -> "Pending":
        says = f"it is {each.box}" if each.box else each.refused
        return cls(code(key), each.role, each.serial, each.macs, each.address, each.first, each.last, says)


@dataclass(frozen=True)
class FleetStatus:
    """All boxes, the machines that have no name yet, and the controller's own last words."""

    boxes: tuple[BoxStatus, ...]
    controller: Status
    exposures: Exposures = field(default_factory=Exposures)
    feeds: Mapping[str, FeedState] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()

    def as_json(self) -> Json:
        rows = {"boxes": [box.as_json() for box in self.boxes], "pending": [asdict(each) for each in self.pending]}
        return {"controller": _last_passes(self.controller), **rows}


def _last_passes(status: Status) -> Json:
    """Empty before the first pass; what belongs to a failure is there while it lasts."""
    absent = set() if status.error else {"hint", "reason", "since"}
    absent |= set() if status.warnings else {"warnings"}
    members = {name: value for name, value in asdict(status).items() if name not in absent}
    return members if status.polled else {}


Said = tuple[BootChecked | None, bool, BoxTurn | None, Place | None]
_statuses: dict[str, tuple[BoxState, Said, BoxStatus, Health]] = {}
"""The last one of each box. A state is the same object only for who reads the same store again (`store/rows/polls.py`),
so that two stores in one process cost each other the time, and no more."""


def fleet_status(store: Store, now: int) -> FleetStatus:
    """What the store knows of everything, at `now`."""
    said, wiped, turns = boots(store), _wiped(store), said_of_turns(store)
    known = [state for state in store.states.all() if not state.gone]
    there = places(store)
    boxes = tuple(
        _box(each, now, (said.get(name := each.name), name in wiped, turns.get(name), there.get(name)))
        for each in known
    )
    if len(_statuses) > len(known):
        _forget({each.name for each in known})
    exposures = store.notes.get(Exposures) or Exposures()
    waiting = (store.notes.get(Newcomers) or Newcomers()).living(now)
    pending = tuple(Pending.of(key, each) for key, each in waiting.items())
    return FleetStatus(boxes, store.notes.get(Status) or Status(), exposures, store.notes.each(FeedState), pending)


def _box(state: BoxState, now: int, said: Said) -> BoxStatus:
    """One of the fleet. Of a box of which nothing new is known it is what it was, unless time has passed over it."""
    kept, health = _statuses.get(state.name), state.health(now)
    if kept and kept[0] is state and kept[1] == said and kept[3] == health:
        return kept[2]
    boot, wiped, turn, place = said
    made = BoxStatus.of(state, now, boot, (state.name,) if wiped else (), turn, place, _facts(state))
    _statuses[state.name] = (state, said, made, health)
    return made


def _forget(names: Collection[str]) -> None:
    for name in [each for each in [*_statuses] if each not in names]:
        _statuses.pop(name, None)


def box_status(store: Store, box: str, now: int) -> BoxStatus | None:
    """One box, or None when there is none of this name."""
    state = store.states.one(box)
    if state is None:
        return None
    known = (store.notes.get(BootChecked, box), _wiped(store), of_turn(store, box))
    return BoxStatus.of(state, now, *known, places(store).get(box), _facts(state))


def said_of(store: Store, box: str) -> Json:
    """What the last report of a box says beside its state: `facts` (contracts/report), `uptime` (seconds), why it is
    `degraded`; and until when it may restart (`permission`). Without what there is not."""
    report, permission = store.boxes.report(box), told(store, box)
    facts: Json = {"facts": report.facts, "uptime": report.counter // 1000} if report and report.facts else {}
    facts |= {"degraded": [*report.degraded]} if report and report.degraded else {}
    return facts | ({"permission": permission} if permission else {})


def _facts(state: BoxState) -> BoxFacts | None:
    """None where they are damaged: its next report writes them again."""
    try:
        return decode(BoxFacts, state.name, state.facts) if state.facts else None
    except StoreError as error:
        log.warning("facts.damaged", why=error.message)
        return None


def _wiped(store: Store) -> Collection[str]:
    """The boxes that were; where the record is damaged, none until the next pass has written it again."""
    try:
        return (store.notes.get(Wiped) or Wiped()).rows.keys()
    except StoreError as error:
        log.warning("wiped.damaged", why=error.message)
        return ()
