"""What boxes do with permissions to restart, and what is heard of it: answers get lost, clocks differ. Pure.

In: what the controller signs, and when; how boxes behave. Out: how they are in truth, and what they said of it, for the
rules. Rules: those of a box (ADR 92). It restarts by a permission with a number above all that it used or gave back,
before its end by its own idea of the time, unless it heard that it was taken back; it writes the number down first, and
says so when an answer comes through. Whoever is silent neither hears nor says anything, and acts on what it heard.

    boxes = Boxes(fleet.boxes, going.groups, habits, at)
    boxes.offer("site-7", "v2"), boxes.permit(600, {"site-7": Lease(1, 2400)})
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gitops.model import BoxState, Health, Phase
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.model.state import Version
from gitops.rollout.counting.standing import FLEET, Group
from gitops.rollout.rules import Facts

POLL = 300
"""Seconds until a box that heard nothing, or was not heard, tries again."""
CALL = 7200
"""Seconds for which its own services may hold it off."""
NONE = Lease(0, 0)
At = Callable[[int, str, str], None]
"""Time, what, and to whom it happens."""


@dataclass(frozen=True)
class Habits:
    """`update`: seconds from the offer until a box is Healthy, give or take `spread` of them; of a thousand boxes,
    `fails` say no to a release, and `silent` are away for a day at some time each week; `look`: seconds between two
    looks, of which there are `looks` at most. `leases`: whether a box needs a permission to restart. Of a thousand
    answers `lost` never arrive, whichever way they go; of a thousand permissions `calls` find a box that its own
    services hold off for a while; `skew`: seconds by which boxes are wrong about the time at most."""

    update: int = 900
    fails: float = 0
    silent: float = 0
    look: int = 600
    seed: int = 1
    spread: float = 0.5
    leases: bool = True
    lost: float = 0
    calls: float = 0
    skew: int = 0
    looks: int = 1_000_000


@dataclass(slots=True)
class _Box:
    """In truth. `target`: what it restarts into, empty: it does not; `heard`: the permission that it knows."""

    skew: int
    running: str = "old"
    target: str = ""
    spent: int = 0
    heard: Lease = NONE
    offered: str = "old"
    failed: frozenset[str] = frozenset()
    silent: bool = False
    waits: bool = False
    asks: bool = False


class Boxes:
    """`facts`, `states`, `turns`: what the controller knows; `busy`: who restarts in truth, by group; `ran`: box ->
    what it was Healthy on, one after the other."""

    def __init__(
        self, names: Iterable[str], groups: Callable[[str], tuple[Group, ...]], habits: Habits, begins: int, at: At
    ) -> None:
        self._groups, self._habits, self._begins, self._at = groups, habits, begins, at
        self.chance = random.Random(habits.seed)  # noqa: S311
        skew = habits.skew
        self._boxes = {name: _Box(self.chance.randint(-skew, skew) if skew else 0) for name in names}
        self.published = dict.fromkeys(self._boxes, "old")
        self.facts = dict.fromkeys(self._boxes, Facts("old", "old", Health.HEALTHY))
        self.turns = dict.fromkeys(self._boxes, BoxTurn(idle=True))
        self.states = {name: self._state(name, _Box(0), begins) for name in self._boxes}
        self.given: Mapping[str, Lease] = {}
        self.busy = defaultdict[Group, set[str]](set)
        self.ran: dict[str, list[str]] = {}
        self.failed = 0
        self.news: set[str] = set()
        """Who runs something else since that was looked at."""

    def _state(self, name: str, box: _Box, now: int) -> BoxState:
        phase = Phase.REBOOTING if box.target else Phase.IDLE
        return BoxState(
            name, 1, published=Version(self.published[name], self.published[name]), received=now,
            running=Version(box.running, box.running), phase=phase, reported=Health.HEALTHY, failed=box.failed,
        )  # fmt: skip

    def offer(self, now: int, name: str, content: str) -> None:
        """The controller signs something new for it."""
        self.published[name] = content
        self.facts[name] = replace(self.facts[name], published=content)
        self.states[name] = replace(self.states[name], published=Version(content, content))
        if not self._habits.leases and not self._boxes[name].silent:
            self._begin(now, name, content)

    def permit(self, now: int, given: Mapping[str, Lease]) -> None:
        """The controller signs these permissions (ends: Unix seconds)."""
        before, self.given = self.given, given
        for name, lease in given.items():
            if before.get(name) != lease:
                self._ask(now, name)

    def happens(self, time: int, what: str, name: str) -> None:
        """What `at` was asked for, or `silent` and `heard`."""
        box = self._boxes[name]
        if what == "silent":
            box.silent = True
            self.facts[name] = replace(self.facts[name], health=Health.MISSING)
        elif what == "heard":
            box.silent = False
            self._say(time, name)
            if self._habits.leases:
                self._ask(time, name)
            elif not box.target and box.running != self.published[name]:
                self._begin(time, name, self.published[name])
        elif what == "asks":
            box.asks = False
            self._ask(time, name)
        elif what == "says":
            self._say(time, name)
        elif what == "goes":
            box.waits = False
            self._judge(time, name)
        elif what == "ends":
            self._end(time, name)

    def _lost(self) -> bool:
        return self._habits.lost > 0 and self.chance.random() * 1000 < self._habits.lost

    def _ask(self, now: int, name: str) -> None:
        """It looks at what is signed for it, and again as long as it is not done with its permission."""
        box = self._boxes[name]
        if box.silent:
            return
        if not self._lost():
            box.heard, box.offered = self.given.get(name, NONE), self.published[name]
            if box.heard.number > box.spent and not box.target and not box.waits:
                self._judge(now, name)
        if self.given.get(name, NONE).number > box.spent and not box.asks:
            box.asks = True
            self._at(now + POLL, "asks", name)

    def _judge(self, now: int, name: str) -> None:
        """By what it heard: it restarts, gives its permission back, or is held off for a while."""
        box = self._boxes[name]
        lease = box.heard
        if lease.number <= box.spent or box.target:
            return
        if lease.stopped or self._begins + now + box.skew >= lease.until:
            box.spent = lease.number
            self._say(now, name)
        elif self._habits.calls and self.chance.random() * 1000 < self._habits.calls:
            box.waits = True
            self._at(now + round(self.chance.uniform(60, CALL)), "goes", name)
        elif box.offered != box.running:
            box.spent = lease.number
            self._begin(now, name, box.offered)

    def _begin(self, now: int, name: str, content: str) -> None:
        self._boxes[name].target = content
        for group in (*self._groups(name), (FLEET, "all")):
            self.busy[group].add(name)
        spread = self._habits.spread
        self._at(now + round(self._habits.update * self.chance.uniform(1 - spread, 1 + spread)), "ends", name)
        self._say(now, name)

    def _end(self, now: int, name: str) -> None:
        box = self._boxes[name]
        if self.chance.random() * 1000 < self._habits.fails:
            box.failed |= {box.target}
            self.failed += 1
        else:
            box.running = box.target
            self.ran.setdefault(name, []).append(box.running)
        box.target = ""
        for group in (*self._groups(name), (FLEET, "all")):
            self.busy[group].discard(name)
        self._say(now, name)
        if self._habits.leases:
            self._ask(now, name)
        elif self.published[name] not in (box.running, *box.failed) and not box.silent:
            self._begin(now, name, self.published[name])

    def _say(self, now: int, name: str) -> None:
        """A report, in which all is as it is; one that is lost comes later."""
        box = self._boxes[name]
        if box.silent:
            return
        if self._lost():
            self._at(now + POLL, "says", name)
            return
        if box.running != self.facts[name].running:
            self.news.add(name)
        health = Health.PROGRESSING if box.target else Health.HEALTHY
        self.facts[name] = Facts(self.published[name], box.running, health, box.failed)
        self.states[name] = self._state(name, box, self._begins + now)
        state = "" if box.target or box.running == self.published[name] else "waiting"
        self.turns[name] = BoxTurn(box.spent, idle=not box.target, state=state)
