"""Which rule tells of what happened, and in which words. Pure.

In: rules of Git, what happened. Out: whether one is about it; one message for all that one gathered. Rules: without
`on` and `severity` a rule is about all that is a warning; what is gathered is one message, however much it is: its
first line says how many boxes and what, `LINES` of them follow.

    rule = NotifyRule("on-call", ("hook",), on=("Missing",))
    rule.about(Occurrence("site-7", "vm", "Berlin", "Missing", "silent since 03:12", True, 1795000000), {})     # True
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitops.model.digest import Json
from gitops.model.rollout.windows import calendar

WARNING, NORMAL = "warning", "normal"
LINES = 20
"""What happened that a message says one by one."""


@dataclass(frozen=True)
class Occurrence:
    """Something that happened. `box` is empty for the controller; `reason` is an event's, or the health of a silent
    box; `time`: Unix seconds."""

    box: str
    role: str
    site: str
    reason: str
    message: str
    warning: bool
    time: int

    def __str__(self) -> str:
        where = f" ({self.site})" if self.site else ""
        return f"{self.box or 'controller'}{where}: {self.reason}{f': {self.message}' if self.message else ''}"


@dataclass(frozen=True)
class NotifyRule:
    """`to` are receivers of the controller's settings; `gather` is how many seconds what comes after the first waits to
    go with it; in `quiet` (windows on the clock of `timezone`) all waits for its end. `severity`: of
    `WARNING` and `NORMAL`, as events are; `labels`: all of them count."""

    name: str
    to: tuple[str, ...]
    on: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    timezone: str = "UTC"
    gather: int = 60
    severity: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    def about(self, each: Occurrence, labels: Mapping[str, str]) -> bool:
        """Whether it tells of this, which happened to a box with these labels."""
        what = each.reason in self.on if self.on else each.warning or bool(self.severity)
        grave = not self.severity or (WARNING if each.warning else NORMAL) in self.severity
        where = ((self.boxes, each.box), (self.roles, each.role), (self.sites, each.site))
        there = all(labels.get(key) == value for key, value in self.labels)
        return what and grave and there and all(not names or name in names for names, name in where)

    def silent(self, now: float) -> bool:
        """Whether it is quiet now."""
        return bool(self.quiet) and calendar(self.quiet, (), self.timezone).open(now)


@dataclass(frozen=True)
class Gathered:
    """What a rule will tell: since when, the first of it, and how much of each reason."""

    since: int
    first: tuple[Occurrence, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, found: Sequence[Occurrence]) -> "Gathered":
        """With more; nothing of it is more than numbers beyond the first."""
        counts = Counter(self.counts) + Counter(each.reason for each in found)
        return Gathered(self.since, (*self.first, *found)[:LINES], dict(counts))

    @property
    def title(self) -> str:
        """`500 times Missing, 2 times FellBack`; of a single one, that."""
        if sum(self.counts.values()) == 1 and self.first:
            return str(self.first[0]).splitlines()[0][:200]
        return ", ".join(f"{number} times {reason}" for reason, number in sorted(self.counts.items()))[:500]

    @property
    def lines(self) -> tuple[str, ...]:
        """One by one, and how many more."""
        more = sum(self.counts.values()) - len(self.first)
        return (*(" ".join(str(each).split())[:300] for each in self.first), *([f"and {more} more"] if more else []))

    def as_json(self) -> list[Json]:
        """The first, as a webhook has them."""
        return [dict(each.__dict__) | {"message": each.message[:1000]} for each in self.first]
