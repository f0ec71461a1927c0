"""What people see of the loop: events, the status of the last passes, and what each pass did.

In: what happened. Out: documents and events in the store, lines in the log. Rules: what stays the same is said once, a
failure and an alarm too; a pass that did nothing leaves no result.

    journal = Journal(store)
    journal.normal(Happened.BUILT, "pkg/hello in 3.1 s")
    journal.succeeded(done, alarms)         # or: journal.failed(error)
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import structlog

from gitops.errors import TowerosError, readable
from gitops.model import EventType, Happened, Hold, Json, Plan, Revision, Step
from gitops.store import Store
from gitops.store.notes.documents import Alarm, PassResult, Status, as_json

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pass:
    """What one pass did. `held`: why boxes wait; `layers`: how many were made; `seconds`: how long each stage took;
    `warnings`: what only people can mend."""

    revision: Revision
    plan: Plan
    published: tuple[str, ...] = ()
    held: Mapping[str, Hold] = field(default_factory=dict)
    layers: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def result(self) -> PassResult:
        """What is remembered of it."""
        return PassResult(
            revision=str(self.revision),
            builds=self.plan.builds,
            boxes=self.plan.boxes,
            layers=self.layers,
            published=self.published,
            held={box: str(hold) for box, hold in self.held.items()},
            seconds={stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
        )

    def as_json(self) -> Json:
        return as_json(self.result)


class Stopwatch:
    """Seconds per stage of one pass."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            log.debug(f"{name}.done", seconds=round(took, 2))


class Journal:
    """Writes down what happens in one store's loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = set[str]()

    def normal(self, what: Happened, message: str, box: str = "") -> None:
        """Something went as it should."""
        log.info(what.lower(), message=message, box=box)
        self._store.events.add(box, EventType.NORMAL, what, message)

    def warning(self, what: str, message: str, box: str = "") -> None:
        """Something that somebody should look at."""
        log.warning(what.lower(), message=message, box=box)
        self._store.events.add(box, EventType.WARNING, what, message)

    @contextmanager
    def building(self, step: Step) -> Iterator[None]:
        """The build of one package, from beginning to end. What is tried again begins once."""
        begun = f"{step.subject}: {step.reason}"
        if begun not in self._begun:
            self.normal(Happened.BUILDING, begun)
        self._begun.add(begun)
        start = time.monotonic()
        yield
        self._begun.discard(begun)
        self.normal(Happened.BUILT, f"{step.subject} in {time.monotonic() - start:.1f} s")

    def alarms(self, alarms: Sequence[TowerosError]) -> None:
        """Warn, once, of each release tag that would come next and may not."""
        before = self._status().alarms
        for alarm in alarms:
            if _alarm(alarm) not in before:
                self.warning(_reason(alarm), alarm.message)

    def succeeded(self, done: Pass, alarms: Sequence[TowerosError]) -> None:
        """A pass came to its end."""
        revision = done.revision
        refused = tuple(map(_alarm, alarms))
        known = self._status().warnings
        for warning in done.warnings:
            if warning not in known:
                self.warning(Happened.BEHIND, warning)
        self._store.notes.put(
            Status(str(revision), revision.signers, refused, int(time.time()), warnings=done.warnings)
        )
        if not done.plan.empty or done.published:
            self._store.notes.put(done.result, revision.commit)

    def failed(self, error: TowerosError) -> None:
        """A pass failed. Best effort: the database may be what failed."""
        try:
            self._save_error(error)
        except Exception as caught:
            log.error("status.lost", error=readable(caught).message)

    def _save_error(self, error: TowerosError) -> None:
        before, now = self._status(), int(time.time())
        since = before.since
        if before.error != error.message:
            self._store.events.add("", EventType.WARNING, _reason(error) or type(error).__name__, error.message)
            since = now
        failed = replace(before, error=error.message, hint=error.hint, reason=_reason(error), since=since, polled=now)
        self._store.notes.put(failed)

    def _status(self) -> Status:
        return self._store.notes.get(Status) or Status()


def _reason(error: TowerosError) -> str:
    """The name of a refusal, for people and monitors; empty for what was not refused."""
    return str(error.reason or "")


def _alarm(error: TowerosError) -> Alarm:
    return Alarm(_reason(error), error.message)
