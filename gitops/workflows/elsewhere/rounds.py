"""Passes over the places where else is published, beside the loop: one may hang or be away, and nobody waits for it.

In: settings, the store, what is offered. Out: files at the places; a document for each; an event when one begins to
fail, is whole again, or had lost something. Rules: each place has a thread of its own, one pass at a time; after one
that failed it waits longer and longer; where nothing new was published, it is looked at every `LOOK` seconds.

    elsewhere = Elsewhere(settings, store, publisher.offered, journal)
    elsewhere.start()           # after each pass of the loop; returns at once
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from gitops.errors import readable
from gitops.model import Happened, Target
from gitops.publish.elsewhere.connect import place_of
from gitops.publish.elsewhere.copying import Copied, Copying, Memory
from gitops.publish.elsewhere.tree import Tree
from gitops.settings import Settings
from gitops.settings.places import PublishTo
from gitops.store import LeaseError, Store
from gitops.store.notes.copied import CopiedTo
from gitops.workflows.elsewhere.told import remembered
from gitops.workflows.journal import Journal

log = structlog.get_logger(__name__)

LOOK = 300.0
"""Seconds between two looks at a place while nothing is published."""
PAUSE, MAX_PAUSE = 30.0, 1800.0
"""Seconds after a first pass that failed, and after many."""
NAMED = 3
"""Files that an event names."""


class Elsewhere:
    """All places of the settings."""

    def __init__(
        self, settings: Settings, store: Store, offered: Callable[[], Mapping[str, Target]], journal: Journal
    ) -> None:
        self.rounds = [Round(each, settings, store, offered, journal) for each in settings.publish]

    def start(self) -> None:
        """Begin a pass over each place where one is due. Returns at once."""
        for each in self.rounds:
            each.start()

    def wait(self, seconds: float) -> list[str]:
        """For the passes that are under way. Returns the places whose pass did not end in time."""
        end = time.monotonic() + seconds
        return [each.name for each in self.rounds if not each.wait(end - time.monotonic())]


class Round:
    """Of one place."""

    def __init__(
        self,
        said: PublishTo,
        settings: Settings,
        store: Store,
        offered: Callable[[], Mapping[str, Target]],
        journal: Journal,
    ) -> None:
        self.name, self._store, self._journal = said.name, store, journal
        self._copying = Copying(Tree(store, offered), place_of(said, settings), settings.grace, store.lease.check)
        self._stamp = store.paths.metadata / "timestamp.json"
        self._thread: threading.Thread | None = None
        self._due, self._pause, self._seen = 0.0, 0.0, 0

    def start(self) -> None:
        """Begin a pass, unless one is under way or none is due."""
        if (self._thread and self._thread.is_alive()) or not self._is_due():
            return
        self._thread = threading.Thread(target=self.pass_over, name=f"publish-{self.name}", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """For the end of the pass that is under way; whether it came."""
        if self._thread:
            self._thread.join(max(seconds, 0.0))
        return not (self._thread and self._thread.is_alive())

    def _is_due(self) -> bool:
        return time.monotonic() >= self._due or (not self._pause and self._published() != self._seen)

    def _published(self) -> int:
        try:
            return self._stamp.stat().st_mtime_ns
        except OSError:
            return 0

    def pass_over(self) -> None:
        """One pass, here and now; never raises."""
        seen, error = self._published(), ""
        try:
            memory = remembered(self._store, self.name)
            copied = self._copying.run(Memory(memory.done, memory.gone), time.time())
            self._worked(memory, copied)
            self._pause, self._seen = 0.0, seen
        except LeaseError as caught:  # another controller goes on
            log.info("elsewhere.ends", place=self.name, why=caught.message)
        except Exception as caught:
            error = readable(caught).message.splitlines()[0]
            self._pause = min(2 * self._pause or PAUSE, MAX_PAUSE)
        self._due = time.monotonic() + (self._pause or LOOK)
        if error:
            self._failed(error)

    def _worked(self, before: CopiedTo, copied: Copied) -> None:
        self._store.notes.put(CopiedTo(copied.memory.done, gone=copied.memory.gone), self.name)
        if copied.put or copied.removed:
            log.info("elsewhere.copied", place=self.name, files=copied.put, bytes=copied.size, removed=copied.removed)
        if copied.mended:
            more = f" and {len(copied.mended) - NAMED} more" if len(copied.mended) > NAMED else ""
            words = f"{', '.join(copied.mended[:NAMED])}{more}: put there again"
            self._journal.warning(Happened.ELSEWHERE, f"{self.name}: {words}")
        if before.error:
            self._journal.normal(Happened.ELSEWHERE, f"{self.name} has all that is published again")

    def _failed(self, error: str) -> None:
        """Say it once. Best effort: the database may be what failed."""
        try:
            before = remembered(self._store, self.name)
            if before.error != error:
                self._journal.warning(Happened.ELSEWHERE, f"{error}; the server goes on, and boxes with it")
            since = before.since if before.error else int(time.time())
            self._store.notes.put(replace(before, error=error, since=since), self.name)
        except Exception as caught:
            log.error("elsewhere.lost", place=self.name, error=readable(caught).message)
