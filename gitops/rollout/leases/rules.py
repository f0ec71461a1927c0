"""Who has a permission to restart, who gave it back, and who gets one now. Pure.

In: what is signed, what boxes said, how they are, and what the rules of the rollout decide. Out: the facts for those
rules, and the permissions to sign. Rules (ADR 92), for boxes that know of permissions; the others go when offered:

- A box that got one counts as away until it runs what it was offered, or says that it does not use it any more: no
  clock decides that.
- Whoever gave it back waits like all who were offered nothing yet, and goes after those who had no turn.
- One that may not begin any more (frozen, paused, its window closed, stopped) loses it at once; if it does not hear
  that, it counts as away all the same.
- Who would not take what it is offered (held, or it went back from there too often) gets none before it says that it
  waits for one.
- It is renewed while its box is heard: who is silent restarts within half an hour, or not at all.
- Whoever failed, and of whom nothing can be read, keeps the one that is used up: to a box, none at all is an older
  controller's leave. What is to be tried again waits for its turn like anything else.
- A box may say any number: what no box can have used counts for nothing, and whoever was installed anew begins anew.

    leases = Leases(given, turns, states)
    leases.facts(facts), leases.renewed(going, decisions, stops, now)
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from gitops.model import BoxState, Hold, HoldReason, Phase
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.rollout.rules import Decision, Facts

LEASE = 1800
"""Seconds."""
MOST, APART = 1 << 40, 1 << 20
"""Of numbers: more than was ever given, and how far what was given may be ahead of what its box used."""
STOPS = (HoldReason.FROZEN, HoldReason.WAITS_FOR_WINDOW, HoldReason.STOPPED, HoldReason.WAVE_STOPPED)
"""What keeps whoever has a permission, and did not begin."""
SUPERSEDED = "Git asks for another release by now"
AT_REST = (Phase.IDLE, Phase.FETCHING)


class Leases:
    """Of one look. `open`: who may restart at any moment, or did; `returned`: who is offered something and has no
    permission for it. `forgiven`: whoever is to try again what failed."""

    def __init__(
        self,
        given: Mapping[str, Lease],
        turns: Mapping[str, BoxTurn],
        states: Mapping[str, BoxState],
        forgiven: Collection[str] = (),
    ) -> None:
        self._given, self._turns, self._states = given, turns, states
        offered = {box for box in turns.keys() & states.keys() if states[box].published.release}
        undone = {box for box in offered if states[box].received and not states[box].taken}
        back = {box for box in undone if self._gave_back(box)}
        self.open = frozenset(box for box in undone - back if box in given)
        failed = {box for box in back if states[box].published.content in states[box].failed}
        self.returned = frozenset(back - (failed - {*forgiven}))
        unread = {box for box in given.keys() & turns.keys() if box not in states or states[box].damaged}
        self._closed = (failed | unread) - self.open - self.returned

    def _gave_back(self, box: str) -> bool:
        lease, turn, state = self._given.get(box), self._turns[box], self._states[box]
        at_rest = turn.idle and state.phase in AT_REST
        return at_rest and (lease is None or turn.spent >= lease.number)

    def facts(
        self, facts: Mapping[str, Facts], waiting: Collection[str], also: Collection[str] = ()
    ) -> dict[str, Facts]:
        """The same, where who gave a permission back was offered nothing, and who has one is away. `also`: whose
        permission is looked at as if it had been given back."""
        back = {*self.returned, *also} - {*waiting}
        found = dict(facts)
        for box in back & found.keys():
            tried = self._given[box].number if box in self._given else 0
            found[box] = replace(found[box], published=found[box].running, tried=tried)
        for box in self.open - back:
            if box in found:
                found[box] = replace(found[box], leased=True)
        return found

    def stops(self, decisions: Mapping[str, Decision], waiting: Collection[str]) -> dict[str, str]:
        """Who loses a permission, and why: by what was decided as if they had none."""
        found = dict.fromkeys(self.open & {*waiting}, SUPERSEDED)
        for box in self.open - {*waiting}:
            hold = decisions.get(box)
            if isinstance(hold, Hold) and hold.reason in STOPS:
                found[box] = str(hold)
        return found

    def renewed(
        self, going: Collection[str], decisions: Mapping[str, Decision], stops: Mapping[str, str], now: int
    ) -> dict[str, Lease]:
        """The permissions from now on. `going`: who is offered something new."""
        asks = {box for box in self.returned if self._turns[box].state}
        free = {box for box in asks if box in decisions and not isinstance(decisions[box], Hold)}
        found = {box: self._new(box, now) for box in self._turns if box in free or box in going}
        for box in (self.open | self.returned | self._closed) - found.keys():
            lease = self._given.get(box) or Lease(self._turns[box].spent, 0)
            if box in self.open:
                lease = self._kept(box, lease, stops.get(box, ""), now)
            found[box] = lease
        return found

    def _new(self, box: str, now: int) -> Lease:
        before, spent = self._given[box].number if box in self._given else 0, self._turns[box].spent
        spent = spent if spent < MOST else 0
        return Lease((max(before, spent) if before <= spent + APART else spent) + 1, now + LEASE)

    def _kept(self, box: str, lease: Lease, stop: str, now: int) -> Lease:
        if lease.stopped or stop:
            return replace(lease, stopped=lease.stopped or stop[:200])
        heard = self._states[box].received > lease.until - LEASE
        return replace(lease, until=now + LEASE) if heard and lease.until - now < LEASE // 2 else lease
