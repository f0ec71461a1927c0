"""How everybody is while it is decided who goes: who is busy, who is silent, and where there is no room. Pure.

In: a fleet's order and groups, what the rules of canaries decided, what boxes are wanted to run, how they are. Out: the
counts of each wave, and what keeps a box from going beside the others. Rules: those of `gitops.rollout.careful`.

    state = Standing(going, decisions, wanted, facts)
    state.counts(0)[How.HEALTHY], state.no_room("site-7")
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from gitops.model import Health, Hold, HoldReason
from gitops.model.digest import sha256
from gitops.model.rollout.waves import Wave
from gitops.rollout.rules import NOBODY, Decision, Facts

FLEET, SITE = "fleet", "site"
NAMED = 3
Group = tuple[str, str]
"""What it is of (the fleet, a site, a label), and which one."""


class How(StrEnum):
    """How a box is with what it is wanted to run."""

    WAITS = "waits"
    SILENT = "silent"
    GOING = "going"
    HEALTHY = "Healthy"
    FAILED = "failed"
    MISSING = "Missing"
    DEGRADED = "Degraded"


def how(fact: Facts, wanted: str) -> How:
    """By what a box was offered, what it runs, and what it says of itself."""
    if wanted in fact.failed:
        return How.FAILED
    if fact.published != wanted:
        return How.SILENT if fact.health == Health.MISSING else How.WAITS
    if fact.health == Health.MISSING:
        return How.MISSING
    if fact.health == Health.DEGRADED:
        return How.DEGRADED
    return How.HEALTHY if fact.running == wanted and fact.health == Health.HEALTHY else How.GOING


BUSY = frozenset((How.GOING, How.MISSING, How.DEGRADED))
"""Who restarts, will soon, or did and is not back yet; so does who is in a trial of something older."""


TROUBLE = (How.FAILED, How.MISSING, How.DEGRADED)


NO_PART = (HoldReason.SUSPENDED, HoldReason.CANNOT_BE_OFFERED, HoldReason.REMOVED)
"""Who waits for one of these is nobody's wave and nobody's neighbour."""


class Fleet(Protocol):
    """The order and the groups of a fleet's boxes (`Going`). `wave`: box -> its wave's number."""

    waves: list[Wave]
    wave: dict[str, int]

    def stuck(self, wanted: Mapping[str, str], facts: Mapping[str, Facts]) -> frozenset[str]: ...
    def members(self, number: int) -> Sequence[str]: ...
    def role(self, box: str) -> str: ...
    def groups(self, box: str) -> tuple[Group, ...]: ...
    def most(self, group: Group) -> int | None: ...
    def together(self, group: Group) -> bool: ...


class Standing:
    """How everybody is, and who is busy, while it is decided."""

    def __init__(
        self,
        going: Fleet,
        decisions: Mapping[str, Decision],
        wanted: Mapping[str, str],
        facts: Mapping[str, Facts],
    ) -> None:
        self._going, self._wanted = going, wanted
        held = {box for box, each in decisions.items() if isinstance(each, Hold) and each.reason in NO_PART}
        part = {box: facts.get(box, NOBODY) for box in wanted if box not in held}
        part = {box: fact for box, fact in part.items() if fact.health != Health.UNKNOWN}
        self._busy, self._down = defaultdict[Group, set[str]](set), defaultdict[Group, set[str]](set)
        self._full: dict[Group, Hold] = {}
        """What keeps whoever is not busy there, until somebody goes."""
        kinds = {box: how(fact, wanted[box]) for box, fact in part.items()}
        self.trouble = {box: kind for box, kind in kinds.items() if kind in TROUBLE}
        self._counts = [Counter[How]() for _ in going.waves]
        self._tried = {going.role(box) for box, kind in kinds.items() if kind == How.HEALTHY}
        self._silent = {box for box, fact in part.items() if fact.health == Health.MISSING}
        self.stuck = going.stuck({box: wanted[box] for box in part}, part)
        for box, fact in part.items():
            kind = kinds[box]
            if kind != How.WAITS or box not in self.stuck:
                self._counts[going.wave[box]][kind] += 1
            if kind in BUSY or fact.health == Health.PROGRESSING or fact.leased:
                for group in going.groups(box):
                    self._busy[group].add(box)
        for box in facts.keys() - part.keys():  # who has no part may restart all the same
            if facts[box].health == Health.PROGRESSING or facts[box].leased:
                for group in going.groups(box):
                    self._busy[group].add(box)
        for box in self._silent:
            for group in going.groups(box):
                self._down[group].add(box)

    def counts(self, number: int) -> Counter[How]:
        return self._counts[number]

    def content(self, number: int) -> str:
        rows = [f"{box} {self._wanted[box]}" for box in self._going.members(number) if box in self._wanted]
        return sha256("\n".join(rows).encode())

    def silent(self, box: str) -> bool:
        return box in self._silent

    def untried(self, box: str) -> bool:
        """Whether of its role only who is stuck is heard: with what nobody tried, it would be their canary."""
        role = self._going.role(box)
        return role not in self._tried and role in {self._going.role(each) for each in self.stuck - self._silent}

    def no_room(self, box: str) -> Hold | None:
        for group in self._going.groups(box):
            busy, most = self._busy[group], self._going.most(group)
            others = len(busy) - (box in busy)
            if not self._going.together(group) and (near := (busy | self._down[group]) - {box}):
                return Hold(HoldReason.WAITS_FOR_NEIGHBOUR, f"{_named(near)} of {_word(group)}")
            if most is not None and others >= most and not self.silent(box):
                return self._no_room_in(group, most) if box not in busy else self._too_full(group, most, busy - {box})
        return None

    def _no_room_in(self, group: Group, most: int) -> Hold:
        """In words that are made once: thousands may wait for the same."""
        if group not in self._full:
            self._full[group] = self._too_full(group, most, self._busy[group])
        return self._full[group]

    @staticmethod
    def _too_full(group: Group, most: int, others: Collection[str]) -> Hold:
        return Hold(HoldReason.WAITS_FOR_ROOM, f"{_word(group)}: at most {most} at once; {_named(others)}")

    def goes(self, box: str) -> None:
        for group in self._going.groups(box):
            self._busy[group].add(box)
            self._full.pop(group, None)


def _named(boxes: Collection[str]) -> str:
    more = f" and {len(boxes) - NAMED} more" if len(boxes) > NAMED else ""
    return ", ".join(heapq.nsmallest(NAMED, boxes)) + more


def _word(group: Group) -> str:
    return "the fleet" if group[0] == FLEET else f"{group[0]} {group[1]}"
