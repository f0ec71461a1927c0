"""Whose turn it is: the rules of the rollout, with what the store remembers of its waves.

turns = Turns(fleet, revision, store)
decisions = turns.decide(states, waiting, suspended, facts, apart)
turns.remember()
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping

import structlog

from gitops.errors import StoreError
from gitops.model import BoxState, Fleet, Hold, HoldReason, Revision
from gitops.model.rollout.waves import WaveState
from gitops.rollout import rules, steering
from gitops.rollout.careful import Before, Going
from gitops.rollout.overtaken import counted
from gitops.store import Store
from gitops.store.notes.waves import Waves
from gitops.workflows.turns.told import tell

log = structlog.get_logger(__name__)


class Turns:
    """One look at the boxes of a fleet, while `revision` is rolled out."""

    def __init__(self, fleet: Fleet, revision: Revision, store: Store) -> None:
        self._fleet, self._store, self._revision = fleet, store, revision
        self._going = Going(fleet.boxes, fleet.policy.careful)
        self._before = Before(saved(store), steering.of(store, revision))
        self._waves: tuple[WaveState, ...] | None = None

    def decide(
        self,
        states: Mapping[str, BoxState],
        waiting: Collection[str],
        suspended: Mapping[str, str],
        known: Mapping[str, rules.Facts],
        apart: Collection[str],
        again: Collection[str] = (),
    ) -> dict[str, rules.Decision]:
        """Of every box: the canary of a waiting box may be one that waits for nothing. `again`: who has its offer, and
        asks whether it is its turn."""
        newest = {box: state.candidate if box in waiting else state.published for box, state in states.items()}
        wanted = {box: each.content for box, each in newest.items() if each.release and box in self._fleet.boxes}
        facts = {box: known[box] for box in wanted}
        roles = {box: self._fleet.boxes[box].role for box in wanted}
        gone = {box: Hold(HoldReason.REMOVED) for box in waiting if box not in wanted}
        now = time.time()  # one for both: between two, a window could open, and nobody would be a canary
        free = {box: content for box, content in wanted.items() if box not in apart and not suspended.get(box)}
        none = {*apart, *self._going.no_canaries(free, facts, now)}
        decisions = rules.decide(self._going.in_order(wanted), facts, roles, self._fleet.policy, suspended, none)
        if not waiting and not again:
            return decisions | gone
        part = {box: content for box, content in wanted.items() if box not in apart}
        outcome = self._going.settle(decisions, part, facts, self._before, now)
        held = (box for box in part if isinstance(outcome.decisions.get(box), Hold))
        left = Counter(self._going.waves[self._going.wave[box]].name for box in held)
        self._waves = counted(self._before.waves, outcome.waves, left)
        return outcome.decisions | gone

    def remember(self) -> None:
        """How far each wave is, what Git says of those that are waited for, and what people see of the pass."""
        steering.of_git(self._store, self._fleet.policy.careful.waves, self._waves or ())
        if self._waves is not None and self._waves != self._before.waves:
            self._store.notes.put(Waves(self._waves))
        tell(self._store, self._fleet, self._revision, int(time.time()))


def saved(store: Store) -> tuple[WaveState, ...]:
    """The waves as the last pass saw them; where the record is damaged, they begin anew."""
    try:
        return (store.notes.get(Waves) or Waves()).states
    except StoreError as error:
        log.warning("waves.damaged", why=error.message)
        return ()
