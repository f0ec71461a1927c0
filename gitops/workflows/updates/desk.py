"""What runs of security updates work with.

desk = Desk(settings, store, builder, forge, Nothing(), open_clone(settings, store), time.time)
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gitops.builders import Builder
from gitops.forges.forge import Forge
from gitops.model import EventType, Happened
from gitops.security.schedule.knowledge import Knowledge
from gitops.settings import Settings
from gitops.sign.commits import CommitKey
from gitops.source import Access
from gitops.source.clone.pushing import PushClone
from gitops.store import Store
from gitops.workflows.updates.listening import T, listening

log = structlog.get_logger(__name__)

MADE = (
    "the key of the controller's own commits was not there, and a new one was made: the fleet repo's "
    "keys/allowed_signers must name it, in place of any older one"
)


@dataclass(frozen=True)
class Desk:
    """What a run works with. `clone` opens the clone in which commits are made; `clock` gives Unix seconds; `between`
    is called before each build, and every few seconds of what else is slow: what must not wait is done there."""

    settings: Settings
    store: Store
    builder: Builder
    forge: Forge | None
    knowledge: Knowledge
    clone: Callable[[], PushClone]
    clock: Callable[[], float]
    between: Callable[[], None]

    def listen(self, work: Callable[[], T]) -> T:
        """Do what may take minutes, and meanwhile what must not wait."""
        return listening(work, self.between)

    def say(self, kind: EventType, what: Happened, message: str) -> None:
        """Tell people, once."""
        log.info(f"security.{what.lower()}", message=message)
        self.store.events.add("", kind, what, message)


def open_clone(settings: Settings, store: Store) -> Callable[[], PushClone]:
    """How a run opens its clone: with the controller's own key."""

    def open_() -> PushClone:
        key = CommitKey.open(settings.keys)
        if key.new:
            store.events.add("", EventType.WARNING, Happened.UPDATES, f"{MADE}: {key.allowed}")
        return PushClone(Access.of(settings), store.paths.security, key.sign)

    return open_
