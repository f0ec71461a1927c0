"""The nouns of a review.

    Plan + two sides -> Summary(groups=(Group(boxes=("a", "b"), change=Change.services, fetch=(81920, 81920)), ...))

Sizes are bytes. Everything is frozen; `Summary.as_json` is what `toweros plan -o json` prints.
"""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gitops.model import Action, Entry, Fleet, Json, Revision, Severity, Step


class Change(enum.StrEnum):
    """What becomes of a box, by what a person would want to know first: does it boot something else?"""

    new = "new box"
    kernel = "new kernel"
    services = "services"
    containers = "user containers only"
    config = "config only"
    unchanged = "made again, unchanged"
    removed = "removed"


@dataclass(frozen=True)
class Side:
    """One of the two revisions that are compared."""

    revision: Revision
    fleet: Fleet
    entries: Mapping[str, Entry]


class Ruling(enum.StrEnum):
    """Whether the source policy lets a revision deploy."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Verdict:
    """What the source policy says of the revision. `reason` is the refusal's name, such as `Unsigned`."""

    state: Ruling = Ruling.UNCHECKED
    reason: str = ""
    message: str = ""
    signers: tuple[str, ...] = ()

    def __str__(self) -> str:
        signed = f"signed by {', '.join(self.signers)}" if self.signers else ""
        why = f"{self.reason}: {self.message}" if self.reason else self.message
        return "; ".join(filter(None, (self.state, why, signed)))


@dataclass(frozen=True)
class Group:
    """Boxes that change alike. `fetch`: the least and the most that one of them downloads; `fits`: None for unknown.
    `short`: what does not fit, with both figures."""

    boxes: tuple[str, ...]
    action: Action
    change: Change
    reason: str
    fetch: tuple[int, int] = (0, 0)
    fits: bool | None = None
    short: str = ""


@dataclass(frozen=True)
class Version:
    """A Debian package or wheel whose locked version changes; empty: was, or is, not there."""

    kind: str
    name: str
    old: str
    new: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Vulnerability:
    """An advisory that a plan fixes or brings in, by a source's locked versions (empty: was, or is, not there)."""

    advisory: str
    severity: Severity
    source: str
    old: str
    new: str
    packages: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class SecurityChange:
    """What a plan's new locks fix and bring in. `unknown` says, a sentence each, why there may be more."""

    fixes: tuple[Vulnerability, ...] = ()
    brings: tuple[Vulnerability, ...] = ()
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.fixes or self.brings or self.unknown)


@dataclass(frozen=True)
class Summary:
    """A whole plan, ready to be read. `exact`: sizes were measured; `stateful`: the controller's state was there.
    `warnings`: what a person should put right whatever becomes of this plan."""

    base: str
    head: str
    builds: tuple[Step, ...] = ()
    groups: tuple[Group, ...] = ()
    unchanged: int = 0
    held: tuple[str, ...] = ()
    versions: tuple[Version, ...] = ()
    security: SecurityChange = SecurityChange()
    policy: tuple[str, ...] = ()
    verdict: Verdict = Verdict()
    made: int = 0
    reused: int = 0
    exact: bool = False
    stateful: bool = False
    digest: str = ""
    warnings: tuple[str, ...] = ()
    wipes: tuple[str, ...] = ()
    """`BOX: who: why`, of every box that is to be wiped, and was not before."""
    rollout: tuple[str, ...] = ()
    """In which order the boxes go."""
    steering: tuple[str, ...] = ()
    """What becomes of holds, windows and probations."""
    effects: tuple[str, ...] = ()
    """Who restarts, what stops meanwhile, what goes over which link."""

    @property
    def empty(self) -> bool:
        return not (self.builds or self.groups or self.wipes)

    def count(self, *actions: Action) -> int:
        """Boxes to which one of these happens."""
        return sum(len(group.boxes) for group in self.groups if group.action in actions)

    def as_json(self) -> Json:
        layers = {"made": self.made, "reused": self.reused}
        sizes = "measured" if self.exact else "estimated"
        document = {"format": 1, **asdict(self), "layers": layers, "sizes": sizes, "empty": self.empty}
        return _plain({name: value for name, value in document.items() if name not in ("made", "reused", "exact")})


def _plain(value: Json) -> Json:
    """Tuples as lists and enums as strings, so that JSON and YAML say the same."""
    return {name: _item(item) for name, item in value.items()}


def _item(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_item(item) for item in value]
    return str(value) if isinstance(value, enum.StrEnum) else value
