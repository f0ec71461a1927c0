"""A fleet that lives through weeks of commits in seconds: the real rules, and a clock that jumps. Pure.

In: the boxes and the policy of a fleet, when commits come, how boxes behave. Out: what happened, by the hour, and how
many boxes were busy at once at most. Rules: everything that looks like chance follows from the seed; between two looks
of the controller nothing is decided.

    run = simulate(fleet.boxes, fleet.policy, [Commit(0, "v2")], Habits(), begins=1_795_000_000, days=7)
    run.most[("site", "n-1")], run.rows[0]
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from gitops.model import Box, Health, Hold, HoldReason, Policy
from gitops.rollout.careful import FLEET, Before, Going, Group
from gitops.rollout.pins import aim, has_passed
from gitops.rollout.rules import Facts, Take, decide

HOUR, DAY = 3600, 86400
OFFERED = (Take.FIRST, Take.CANARY, Take.PROVEN)


@dataclass(frozen=True)
class Commit:
    """`time`: seconds after the beginning; `boxes`: who gets another content by it, None: everybody; `floor`: nobody
    skips it."""

    time: int
    content: str
    boxes: frozenset[str] | None = None
    floor: bool = False


@dataclass(frozen=True)
class Habits:
    """`update`: seconds from the offer until a box is Healthy, give or take a half; of a thousand boxes, `fails` say no
    to a release, and `silent` are away for a day at some time each week; `look`: seconds between two looks."""

    update: int = 900
    fails: float = 0
    silent: float = 0
    look: int = 600
    seed: int = 1


@dataclass(frozen=True)
class Row:
    """What happened until `time` since the row before. `waits`: why, and how many boxes do."""

    time: int
    content: str
    went: int
    healthy: int
    failed: int
    busy: int
    waits: Mapping[HoldReason, int]
    first: str


@dataclass
class Run:
    """`most`: how many of a group were busy at once; `took`: content -> seconds until nobody waited for it."""

    rows: list[Row] = field(default_factory=list)
    most: Counter[Group] = field(default_factory=Counter)
    took: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    offers: list[tuple[int, str]] = field(default_factory=list)
    """When (seconds after the beginning) which box was offered something."""
    ran: dict[str, list[str]] = field(default_factory=dict)
    """Box -> what it was Healthy on, one after the other."""


def simulate(
    boxes: Mapping[str, Box], policy: Policy, commits: Sequence[Commit], habits: Habits, *, begins: int, days: int
) -> Run:
    """From `begins` (Unix seconds) on; every box is Healthy on something older then."""
    return _World(boxes, policy, habits, begins).live(commits, days * DAY)


def copies(boxes: Mapping[str, Box], number: int) -> dict[str, Box]:
    """So many, by turns like those that there are; each turn has sites of its own."""
    found = dict[str, Box]()
    names = sorted(boxes)
    for at in range(number if names else 0):
        like, turn = boxes[names[at % len(names)]], at // len(names)
        name = f"{like.name}-{turn}" if turn else like.name
        site = f"{like.site}-{turn}" if turn and like.site else like.site
        found[name] = replace(like, name=name, site=site)
    return found


class _World:
    def __init__(self, boxes: Mapping[str, Box], policy: Policy, habits: Habits, begins: int) -> None:
        self._boxes, self._policy, self._habits, self._begins = boxes, policy, habits, begins
        self._going = Going(boxes, policy.careful)
        self._chance = random.Random(habits.seed)  # noqa: S311
        self._facts = dict.fromkeys(boxes, Facts("old", "old", Health.HEALTHY))
        self._wanted = self._going.in_order(dict.fromkeys(boxes, "old"))
        self._changes: dict[str, Set[str]] = {}
        self._roles = {name: box.role for name, box in boxes.items()}
        self._events: list[tuple[int, int, str, str]] = []
        self._busy = defaultdict[Group, set[str]](set)
        self._before = Before()
        self._goal, self._age = dict.fromkeys(boxes, "old"), {"old": 0}
        self._floors: list[str] = []
        self._content, self._since, self._went, self._failed = "old", 0, 0, 0
        self._run = Run()

    def live(self, commits: Sequence[Commit], until: int) -> Run:
        for commit in commits:
            self._floors += [commit.content] if commit.floor else []
            self._at(commit.time, "commit", commit.content)
            self._changes[commit.content] = self._wanted.keys() if commit.boxes is None else commit.boxes
        for box, time in self._absences(until):
            self._at(time, "silent", box)
            self._at(time + DAY, "heard", box)
        while self._events and self._events[0][0] < until:
            now = -(-self._events[0][0] // self._habits.look) * self._habits.look
            while self._events and self._events[0][0] <= now:
                time, _, what, who = heapq.heappop(self._events)
                self._happens(time, what, who)
            self._look(now)
        return self._run

    def _absences(self, until: int) -> Iterator[tuple[str, int]]:
        for week in range(0, until, 7 * DAY):
            for box in self._boxes:
                if self._chance.random() * 1000 < self._habits.silent:
                    yield box, week + self._chance.randrange(6 * DAY)

    def _at(self, time: int, what: str, who: str) -> None:
        heapq.heappush(self._events, (time, len(self._events), what, who))

    def _happens(self, time: int, what: str, who: str) -> None:
        if what == "commit":
            self._content, self._since = who, time
            self._age[who] = len(self._age)
            self._goal |= dict.fromkeys(self._changes[who] & self._goal.keys(), who)
            self._wanted |= {box: self._next(box) for box in self._goal}
        elif what == "silent":
            self._facts[who] = replace(self._facts[who], health=Health.MISSING)
        elif what == "heard":
            self._facts[who] = replace(self._facts[who], health=Health.HEALTHY)
            if self._facts[who].running != self._facts[who].published:
                self._begin(time, who)
        elif what == "ends" and self._facts[who].health != Health.MISSING:
            self._end(who)

    def _next(self, box: str) -> str:
        """What it is to run now: its goal, its pin, or a floor on the way, by the rules that the controller has."""
        pin = self._boxes[box].pin
        if not self._floors and not pin:
            return self._goal[box]
        if pin and pin not in self._age:
            return self._facts[box].running
        floors = [floor for floor in self._floors if floor in self._age and box in self._changes[floor]]
        runs = self._facts[box].running
        passed = [floor for floor in floors if has_passed(floor, runs, settled=True, holds=self._holds)]
        return aim(pin, floors, passed=passed, holds=self._holds, head=self._goal[box])

    def _holds(self, content: str, other: str) -> bool:
        return self._age[content] >= self._age[other]

    def _begin(self, time: int, box: str) -> None:
        self._facts[box] = replace(self._facts[box], health=Health.PROGRESSING)
        for group in (*self._going.groups(box), (FLEET, "all")):
            self._busy[group].add(box)
        self._at(time + round(self._habits.update * self._chance.uniform(0.5, 1.5)), "ends", box)

    def _end(self, box: str) -> None:
        fact = self._facts[box]
        bad = self._chance.random() * 1000 < self._habits.fails
        failed = fact.failed | {fact.published} if bad else fact.failed
        running = fact.running if bad else fact.published
        self._facts[box] = Facts(fact.published, running, Health.HEALTHY, failed)
        if running != fact.running:
            self._run.ran.setdefault(box, []).append(running)
            self._wanted[box] = self._next(box)
        self._failed += bad
        for group in (*self._going.groups(box), (FLEET, "all")):
            self._busy[group].discard(box)

    def _look(self, now: int) -> None:
        """The controller looks, and offers."""
        wanted = self._wanted
        apart = self._going.no_canaries(wanted, self._facts, self._begins + now)
        decisions = decide(wanted, self._facts, self._roles, self._policy, apart=apart)
        outcome = self._going.settle(decisions, wanted, self._facts, self._before, self._begins + now)
        self._before = Before(outcome.waves)
        for box, each in outcome.decisions.items():
            if each in OFFERED:
                self._facts[box] = replace(self._facts[box], published=wanted[box])
                self._run.offers.append((now, box))
                self._went += 1
                if self._facts[box].health != Health.MISSING:
                    self._begin(now, box)
        for group, members in self._busy.items():
            self._run.most[group] = max(self._run.most[group], len(members))
        holds = [each for each in outcome.decisions.values() if isinstance(each, Hold)]
        if outcome.until:
            self._at(outcome.until - self._begins, "clock", "")
        if not holds:
            self._run.took.setdefault(self._content, now - self._since)
        self._run.looks += 1
        self._row(now, holds)

    def _row(self, now: int, holds: Sequence[Hold]) -> None:
        """One for each hour in which something happened."""
        rows, hour = self._run.rows, now // HOUR * HOUR
        same = bool(rows) and rows[-1].time == hour and rows[-1].content == self._content
        before = rows.pop() if same else None
        healthy = sum(fact.running == self._wanted[box] for box, fact in self._facts.items())
        went, failed = self._went + (before.went if before else 0), self._failed + (before.failed if before else 0)
        waits = Counter(hold.reason for hold in holds)
        busy = len(self._busy[FLEET, "all"])
        row = Row(hour, self._content, went, healthy, failed, busy, waits, str(holds[0]) if holds else "")
        if (
            before
            or not rows
            or replace(row, time=rows[-1].time, went=rows[-1].went, failed=rows[-1].failed) != rows[-1]
        ):
            rows.append(row)
        self._went = self._failed = 0
