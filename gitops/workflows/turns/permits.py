"""Permissions to restart, in one pass: what is signed and what boxes said become what is signed next.

In: the published metadata, what boxes said of their turn, how they are. Out: decisions in which a permission that was
given back is asked for again; the members `apply` and `next` of the metadata. Rules: gitops/rollout/leases. Boxes that
never said that they know of permissions get neither: they are offered what is new when they may go, as ever.

    permits = Permits(fleet, store, publisher)          # before the states are read
    decisions = permits.decide(turns, Look(states, waiting, suspended, facts, apart))
    publisher.members |= permits.members(going, decisions, now)
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from gitops.errors import StoreError
from gitops.model import BoxState, Fleet, Hold, Json, Publication
from gitops.model.rollout.turns import Lease
from gitops.publish import Publisher
from gitops.publish.targets import APPLY, NEXT, next_of
from gitops.rollout import rules
from gitops.rollout.counting.standing import NO_PART
from gitops.rollout.leases.rules import Leases
from gitops.rollout.leases.said import said
from gitops.rollout.leases.words import words
from gitops.store import LeaseError, Store
from gitops.store.notes.turns import Permissions
from gitops.workflows.turns.turns import Turns

log = structlog.get_logger(__name__)
MOST_SPREAD = 600
"""Seconds within which all boxes begin to fetch: one for each box of the fleet, and no more than this."""


@dataclass(frozen=True)
class Look:
    """What a pass sees of the boxes (`Turns.decide`)."""

    states: Mapping[str, BoxState]
    waiting: Collection[str]
    suspended: Mapping[str, str]
    facts: Mapping[str, rules.Facts]
    apart: Collection[str]


class Permits:
    """Of one pass. What boxes said is read before how they are: it is never newer than that."""

    def __init__(self, fleet: Fleet, store: Store, publisher: Publisher) -> None:
        self._fleet, self._store, self._publisher = fleet, store, publisher
        self.given = {box: Lease.parse(each) for box, each in publisher.said(APPLY).items()}
        self._turns = said(store)
        self._leases = Leases({}, {}, {})
        self._stops: dict[str, str] = {}

    def decide(self, turns: Turns, look: Look) -> dict[str, rules.Decision]:
        """Who goes. Boxes that have a permission are looked at first, as if they had none: some lose it."""
        forgiven = {box for box, each in look.states.items() if each.failed - look.facts[box].failed}
        self._leases = leases = Leases(self.given, self._turns, look.states, forgiven)
        self._stops = leases.stops({}, look.waiting)
        if leases.open - {*look.waiting}:
            found = self._decided(turns, look, leases.open)
            self._stops = leases.stops(found, look.waiting)
        return self._decided(turns, look, ())

    def _decided(self, turns: Turns, look: Look, also: Collection[str]) -> dict[str, rules.Decision]:
        facts = self._leases.facts(look.facts, look.waiting, also)
        again = (self._leases.returned | {*also}) - {*look.waiting}
        return turns.decide(look.states, look.waiting, look.suspended, facts, look.apart, again)

    def members(
        self,
        going: Collection[str],
        decisions: Mapping[str, rules.Decision],
        look: Look,
        held: Mapping[str, str],
        now: int,
    ) -> dict[str, dict[str, Json]]:
        """`APPLY` and `NEXT`, by box. `held`: who is told not to take what it is offered, and why."""
        stops = {box: why for box, why in held.items() if box in self._leases.open} | self._stops
        leases = self._leases.renewed(going, decisions, stops, now)
        known = {box: lease for box, lease in leases.items() if box in self._fleet.boxes}
        self._remember(known)
        apply = {box: lease.encode() | words(self._fleet.boxes[box], now) for box, lease in known.items()}
        return {APPLY: apply, NEXT: self._next(going, decisions, look.states)}

    def _remember(self, leases: Mapping[str, Lease]) -> None:
        """For people: whoever asks the store alone cannot read what is signed."""
        try:
            if (self._store.notes.get(Permissions) or Permissions()).rows == leases:
                return
        except LeaseError:
            raise
        except StoreError as error:  # it is written again
            log.warning("permissions.damaged", why=error.message)
        self._store.notes.put(Permissions(leases))

    def _next(
        self, going: Collection[str], decisions: Mapping[str, rules.Decision], states: Mapping[str, BoxState]
    ) -> dict[str, Json]:
        """What the others of those that know are to fetch before their turn."""
        holds = {box: each for box, each in decisions.items() if isinstance(each, Hold) and each.reason not in NO_PART}
        boxes = {box for box in holds if box in self._turns and box not in going and states[box].candidate.release}
        before = self._publisher.said(NEXT)
        same = {box for box in boxes & before.keys() if _release(before[box]) == states[box].candidate.release}
        made = self._made(boxes - same)
        spread = min(len(self._fleet.boxes), MOST_SPREAD) if len(self._fleet.boxes) > 1 else 0
        return {box: before[box] for box in same} | {each.release.box: next_of(each, spread) for each in made}

    def _made(self, boxes: Collection[str]) -> list[Publication]:
        """Candidates that can be offered, with their copies and deltas."""
        found = list[Publication]()
        for box in sorted(boxes):
            try:
                found += self._store.offers.candidates([box])
            except StoreError as error:  # its own turn makes it anew, and says so
                log.warning("turns.candidate", box=box, why=error.message)
        refused = self._publisher.refused(found)
        return [each for each in found if each.release.box not in refused]


def _release(coming: Json) -> str:
    return str(coming["release"]["sha256"])
