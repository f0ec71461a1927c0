"""The boxes of a fleet as a list that is searched, filtered and sorted: trouble first. Pure.

In: rows, and a view. Out: the rows that it asks for, in its order. Rules: trouble is what somebody must look at: a box
that is Degraded or Missing, refuses something, went back, or has a key that was revoked, even if it is Healthy.

    chosen(rows, FLEET.read("site=mast-7&sort=-seen"))
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitops.model import Health, Sync
from gitops.model.rollout.turns import STATES
from gitops.rollout.choosing.named import NONE, SILENT, is_revision
from gitops.server.people.pages.query import LIVE, PAGING, TEXT, Parameter, Query, View

SORTS = ("trouble", "box", "health", "sync", "role", "site", "revision", "since", "seen")
ORDER = ("Degraded", "Missing", "Late", "Unknown", "Suspended", "Progressing")
WORST = sorted((health for health in Health if health in ORDER), key=ORDER.index)
YES = Parameter(words=("yes", "no"))
FLEET = Query(
    "/",
    {
        "q": Parameter(), "trouble": YES,
        "health": Parameter(words=tuple(Health)), "sync": Parameter(words=tuple(Sync)),
        "role": Parameter(), "site": Parameter(), "label": Parameter(), "revision": Parameter(), "agent": Parameter(),
        "kernel": Parameter(), "held": YES, "silent": YES, "turn": Parameter(words=STATES),
        "sort": Parameter(words=(*SORTS, *(f"-{name}" for name in SORTS)), default="trouble"),
        "group": Parameter(words=("site",)), **PAGING, **LIVE,
    },
)  # fmt: skip
SITES = Query("/sites", {"q": Parameter(), **PAGING, **LIVE})


@dataclass(frozen=True, slots=True)
class Row:
    """A box in one line. `says`: why it is in trouble, or waits; `boot`: how it starts, where nobody checks that;
    `turn`: how far it is with what is to come (`staged`, ...), and `turn_says` that in words; `agent` and `kernel` are
    empty where it does not say them."""

    box: str
    health: Health
    sync: Sync
    role: str
    site: str
    labels: Mapping[str, str]
    wanted: str
    running: str
    since: int
    seen: int
    held: str = ""
    trouble: str = ""
    phase: str = ""
    boot: str = ""
    agent: str = ""
    kernel: str = ""
    turn: str = ""
    turn_says: str = ""

    @property
    def says(self) -> str:
        return self.trouble or "; ".join(filter(None, (self.held, self.turn_says)))

    @property
    def silent(self) -> bool:
        return self.health in SILENT


@dataclass(frozen=True)
class Site:
    """A site in numbers: how many boxes are how, and how many of them are in trouble."""

    name: str
    boxes: int
    healths: Mapping[Health, int]
    trouble: int

    @property
    def worst(self) -> Health:
        return next((health for health in WORST if self.healths.get(health)), Health.HEALTHY)


def chosen(rows: Iterable[Row], view: View) -> list[Row]:
    """Those that a view asks for, in its order."""
    tests = [test for name, make in FILTERS.items() if view[name] for test in [make(view[name])]]
    found = [row for row in rows if all(test(row) for test in tests)]
    sort = view["sort"]
    found.sort(key=lambda row: row.box)
    found.sort(key=KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    if view["group"]:
        found.sort(key=lambda row: row.site)
    return found


def sites(rows: Iterable[Row], view: View) -> list[Site]:
    """Those whose name holds what is looked for: trouble first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.site, []).append(row)
    wanted = view["q"].casefold()
    named = (_site(name, inside) for name, inside in found.items() if wanted in name.casefold())
    return sorted(named, key=lambda site: (-site.trouble, site.name))


def _site(name: str, rows: Sequence[Row]) -> Site:
    healths: dict[Health, int] = {}
    for row in rows:
        healths[row.health] = healths.get(row.health, 0) + 1
    return Site(name, len(rows), healths, sum(bool(row.trouble) for row in rows))


def _urgency(row: Row) -> tuple[int, int]:
    return (0 if row.trouble else 1, WORST.index(row.health) if row.health in WORST else len(WORST))


KEYS: Mapping[str, Callable[[Row], Any]] = {
    "trouble": lambda row: (*_urgency(row), not row.held),
    "box": lambda row: row.box,
    "health": lambda row: row.health,
    "sync": lambda row: row.sync,
    "role": lambda row: row.role,
    "site": lambda row: row.site,
    "revision": lambda row: row.running,
    "since": lambda row: -row.since,
    "seen": lambda row: -row.seen,
}


def _is(value: str) -> bool:
    return value == "yes"


def _labelled(label: str) -> Callable[[Row], bool]:
    name, found, value = label.partition("=")
    return lambda row: row.labels.get(name) == value if found else name in row.labels


def _text(wanted: str) -> Callable[[Row], bool]:
    low = wanted[:TEXT].casefold()
    return lambda row: any(low in text.casefold() for text in (row.box, row.site, row.role, row.says))


FILTERS: Mapping[str, Callable[[str], Callable[[Row], bool]]] = {
    "health": lambda value: lambda row: row.health == value,
    "sync": lambda value: lambda row: row.sync == value,
    "trouble": lambda value: lambda row: bool(row.trouble) == _is(value),
    "held": lambda value: lambda row: bool(row.held) == _is(value),
    "silent": lambda value: lambda row: row.silent == _is(value),
    "role": lambda value: lambda row: row.role == value,
    "site": lambda value: lambda row: (row.site or NONE) == value,
    "label": _labelled,
    "revision": lambda value: lambda row: is_revision(row.running, value) or is_revision(row.wanted, value),
    "agent": lambda value: lambda row: (row.agent or NONE) == value,
    "kernel": lambda value: lambda row: (row.kernel or NONE).startswith(value),
    "turn": lambda value: lambda row: row.turn == value,
    "q": _text,
}
