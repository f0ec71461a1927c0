"""What was deployed last, and what judges the next one; and where that is remembered (`gitops.source.memory`)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from gitops.model import BlobRef, Policy, Revision, sha256
from gitops.source.trust.objects import Signed

MAX_STATES = 1000
MAX_TAGS = 10_000


@dataclass(frozen=True)
class Deployed:
    """The last deployed revision, and what judges the next one: see `LastDeployed`, the document in the store."""

    revision: Revision
    epoch: int
    policy: Policy
    states: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def after(self, revision: Revision, policy: Policy, state: str, tag: str) -> "Deployed":
        """The next one, with what is remembered of this one. `tag` is the object id of a release tag, or empty."""
        states = tuple(each for each in self.states if each != state)
        tags = {**self.tags, **({revision.ref: tag} if tag else {})}
        newest = dict(list(tags.items())[-MAX_TAGS:])
        return Deployed(revision, self.epoch, policy, (*states, state)[-MAX_STATES:], newest)


class Memory(Protocol):
    """Where what was deployed last is remembered. `last` raises SourceError when that is damaged."""

    def last(self) -> Deployed | None: ...
    def save(self, deployed: Deployed) -> None: ...
    def keep(self, objects: Iterable[Signed]) -> tuple[BlobRef, ...]:
        """Keep objects that were judged, for the release to carry along."""


@dataclass
class Remembered:
    """A `Memory` that lasts as long as the process: for a question, which keeps nothing."""

    deployed: Deployed | None = None

    def last(self) -> Deployed | None:
        return self.deployed

    def save(self, deployed: Deployed) -> None:
        self.deployed = deployed

    def keep(self, objects: Iterable[Signed]) -> tuple[BlobRef, ...]:
        return tuple(BlobRef(sha256(each.loose), len(each.loose)) for each in objects)
