"""What a revision changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gitops.model.source import Revision


@dataclass(frozen=True)
class Existing:
    """What there is already: keys of built packages; per box the `box_key` that its last release was made from;
    per package the key at the last planned revision, which says whether a build is new or changed."""

    images: frozenset[str] = frozenset()
    boxes: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    outrun: frozenset[str] = frozenset()
    """Boxes that run newer releases than they are offered, and older than the revision would make."""


class Action(StrEnum):
    """What happens to a package (the first) or a box."""

    BUILD = "build"
    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True)
class Step:
    """One line of a plan: what, and why."""

    subject: str
    action: Action
    reason: str


@dataclass(frozen=True)
class Plan:
    """What must be done so that the fleet is as `revision` says. Builds are in the order in which they can run."""

    revision: Revision
    builds: tuple[Step, ...] = ()
    boxes: tuple[Step, ...] = ()
    removed: tuple[Step, ...] = ()
    box_keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.builds or self.boxes or self.removed)
