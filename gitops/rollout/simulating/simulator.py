"""A fleet that lives through weeks of commits in seconds: the real rules, and a clock that jumps. Pure.

In: the boxes and the policy of a fleet, when commits come, how boxes behave. Out: what happened, by the hour, and how
many boxes were busy at once at most, in truth: the controller knows what was said to it. Rules: everything that looks
like chance follows from the seed; between two looks of the controller nothing is decided; permissions are given, taken
back and renewed by the rules of `gitops.rollout.leases`.

    run = simulate(fleet.boxes, fleet.policy, [Commit(0, "v2")], Habits(), begins=1_795_000_000, days=7)
    run.most[("site", "n-1")], run.rows[0]
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import count

from gitops.model import Box, Hold, HoldReason, Policy
from gitops.rollout.careful import Before, Going, Outcome
from gitops.rollout.counting.standing import FLEET, Group
from gitops.rollout.leases.rules import Leases
from gitops.rollout.pins import aim, has_passed
from gitops.rollout.rules import Facts, Take, decide
from gitops.rollout.simulating.boxes import Boxes, Habits

HOUR, DAY = 3600, 86400
OFFERED = (Take.FIRST, Take.CANARY, Take.PROVEN)


@dataclass(frozen=True)
class Commit:
    """`time`: seconds after the beginning; `boxes`: who gets another content by it, None: everybody; `floor`: nobody
    skips it, or none of these does."""

    time: int
    content: str
    boxes: frozenset[str] | None = None
    floor: bool | Set[str] = False


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
    boxes: Mapping[str, Box],
    policy: Policy,
    commits: Sequence[Commit],
    habits: Habits,
    *,
    begins: int,
    days: int,
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
        self._field = Boxes(boxes, self._going.groups, habits, begins, self._at)
        self._wanted = self._going.in_order(dict.fromkeys(boxes, "old"))
        self._changes: dict[str, Set[str]] = {}
        self._roles = {name: box.role for name, box in boxes.items()}
        self._events: list[tuple[int, int, str, str]] = []
        self._number = count()
        self._before = Before()
        self._goal, self._age = dict.fromkeys(boxes, "old"), {"old": 0}
        self._floors: dict[str, Set[str]] = {}
        self._content, self._since, self._went, self._failed = "old", 0, 0, 0
        self._run = Run(ran=self._field.ran)

    def live(self, commits: Sequence[Commit], until: int) -> Run:
        for commit in commits:
            changes = self._wanted.keys() if commit.boxes is None else commit.boxes
            self._changes[commit.content] = changes
            if commit.floor:
                self._floors[commit.content] = changes if commit.floor is True else commit.floor
            self._at(commit.time, "commit", commit.content)
        for box, time in self._absences(until):
            self._at(time, "silent", box)
            self._at(time + DAY, "heard", box)
        while self._events and self._events[0][0] < until and self._run.looks < self._habits.looks:
            now = -(-self._events[0][0] // self._habits.look) * self._habits.look
            while self._events and self._events[0][0] <= now:
                time, _, what, who = heapq.heappop(self._events)
                if what == "commit":
                    self._commit(time, who)
                elif what != "clock":
                    self._field.happens(time, what, who)
            self._look(now)
        return self._run

    def _absences(self, until: int) -> Iterator[tuple[str, int]]:
        chance = self._field.chance
        for week in range(0, until, 7 * DAY):
            for box in self._boxes if self._habits.silent else ():
                if chance.random() * 1000 < self._habits.silent:
                    yield box, week + chance.randrange(6 * DAY)

    def _at(self, time: int, what: str, who: str) -> None:
        heapq.heappush(self._events, (time, next(self._number), what, who))

    def _commit(self, time: int, content: str) -> None:
        self._content, self._since = content, time
        self._age[content] = len(self._age)
        self._goal |= dict.fromkeys(self._changes[content] & self._goal.keys(), content)
        self._wanted |= {box: self._next(box) for box in self._goal}

    def _next(self, box: str) -> str:
        """What it is to run now: its goal, its pin, or a floor on the way, by the rules that the controller has."""
        pin = self._boxes[box].pin
        if not self._floors and not pin:
            return self._goal[box]
        runs = self._field.facts[box].running
        if pin and pin not in self._age:
            return runs
        floors = [
            floor for floor, whose in self._floors.items()
            if floor in self._age and box in whose and box in self._changes[floor]
        ]  # fmt: skip
        passed = [floor for floor in floors if has_passed(floor, runs, settled=True, holds=self._holds)]
        return aim(pin, floors, passed=passed, holds=self._holds, head=self._goal[box])

    def _holds(self, content: str, other: str) -> bool:
        return self._age[content] >= self._age[other]

    def _decide(self, facts: Mapping[str, Facts], now: int) -> Outcome:
        """As a pass of the controller does (`Turns.decide`)."""
        apart = self._going.no_canaries(self._wanted, facts, self._begins + now)
        decisions = decide(self._wanted, facts, self._roles, self._policy, apart=apart)
        return self._going.settle(decisions, self._wanted, facts, self._before, self._begins + now)

    def _look(self, now: int) -> None:
        """The controller looks, offers, and permits (`Permits.decide`)."""
        field, wanted = self._field, self._wanted
        wanted |= {box: self._next(box) for box in field.news}
        field.news.clear()
        waiting = {box for box, content in wanted.items() if content != field.published[box]}
        leases, stops = Leases(field.given, {}, {}), dict[str, str]()
        if self._habits.leases:
            leases = Leases(field.given, field.turns, field.states)
            stops = leases.stops({}, waiting)
            # Of who said that its own is used up nothing can be taken back: that look would decide nothing.
            if any(field.turns[box].spent < field.given[box].number for box in leases.open - waiting):
                found = self._decide(leases.facts(field.facts, waiting, leases.open), now)
                stops = leases.stops(found.decisions, waiting)
        outcome = self._decide(leases.facts(field.facts, waiting), now)
        self._before = Before(outcome.waves)
        going = {box for box, each in outcome.decisions.items() if each in OFFERED and box in waiting}
        for box in wanted if going else ():
            if box in going:
                field.offer(now, box, wanted[box])
                self._run.offers.append((now, box))
        self._went += len(going)
        if self._habits.leases:
            field.permit(now, leases.renewed(going, outcome.decisions, stops, self._begins + now))
        self._told(now, outcome)

    def _told(self, now: int, outcome: Outcome) -> None:
        for group, members in self._field.busy.items():
            self._run.most[group] = max(self._run.most[group], len(members))
        holds = [each for each in outcome.decisions.values() if isinstance(each, Hold)]
        if outcome.until:
            self._at(outcome.until - self._begins, "clock", "")
        if not holds:
            self._run.took.setdefault(self._content, now - self._since)
        self._run.looks += 1
        self._failed, self._field.failed = self._failed + self._field.failed, 0
        self._row(now, holds)

    def _row(self, now: int, holds: Sequence[Hold]) -> None:
        """One for each hour in which something happened."""
        rows, hour = self._run.rows, now // HOUR * HOUR
        same = bool(rows) and rows[-1].time == hour and rows[-1].content == self._content
        before = rows.pop() if same else None
        facts = self._field.facts
        healthy = sum(facts[box].running == content for box, content in self._wanted.items())
        went, failed = self._went + (before.went if before else 0), self._failed + (before.failed if before else 0)
        waits = Counter(hold.reason for hold in holds)
        busy = len(self._field.busy[FLEET, "all"])
        row = Row(hour, self._content, went, healthy, failed, busy, waits, str(holds[0]) if holds else "")
        if (
            before
            or not rows
            or replace(row, time=rows[-1].time, went=rows[-1].went, failed=rows[-1].failed) != rows[-1]
        ):
            rows.append(row)
        self._went = self._failed = 0
