"""The controller's own commits, beside the loop: security updates that are due, what became of those that went out,
and what is proposed to be taken back when a rollout stopped.

In: the deployed revision and its fleet, after a pass. Out: events, documents; what a run offers is a commit like any
other, which the next pass finds. Rules: only the lease's holder runs; one run after the other; what goes wrong in one
is remembered and tried again, and never ends a pass; each schedule has one run after a pass at most.

    updates = Updates(settings, store, builder)
    updates.run_due(fleet, revision)
"""

import time
from collections import defaultdict
from collections.abc import Callable

import structlog

from gitops.builders import Builder
from gitops.errors import TowerosError, readable
from gitops.forges.connect import connect
from gitops.model import EventType, Fleet, Happened, Revision
from gitops.model.updates.patching import Patching, Window
from gitops.security.schedule.due import FIRST_RETRY, MAX_RETRY
from gitops.security.schedule.knowledge import Knowledge, Nothing
from gitops.settings import Settings
from gitops.source.clone.pushing import MovedError
from gitops.store import LeaseError, Store
from gitops.workflows.enrolment.proposing import Proposals
from gitops.workflows.reverts.reverts import Reverts
from gitops.workflows.updates.aftermath import Aftermath
from gitops.workflows.updates.desk import Desk, open_clone
from gitops.workflows.updates.memory import Clock, Timetable
from gitops.workflows.updates.run import Run, WaitsError

log = structlog.get_logger(__name__)

UNSETTLED = "what went out cannot be settled"
UNSETTLED_ROLLOUT = "what stopped the rollout cannot be proposed to be taken back"
UNNAMED = "what people named from the pages cannot be proposed"
Look = Callable[[Fleet, Revision], None]
WAIT = 60
"""Seconds, at least, until a run that has to wait for somebody is tried again."""


class Patience:
    """Pauses between tries that fail: they double. In memory alone: another controller begins anew."""

    def __init__(self) -> None:
        self._error, self._pause, self._again = "", 0, 0.0

    def over(self, now: float) -> bool:
        """Whether it is time to try; a clock that was set back keeps nobody waiting."""
        return not now < self._again <= now + self._pause

    def failed(self, error: str, now: float) -> bool:
        """Note a try that failed. Returns whether it says something new."""
        news, self._error = error != self._error, error
        self._pause = min(max(FIRST_RETRY, 2 * self._pause), MAX_RETRY)
        self._again = now + self._pause
        return news


class Updates:
    """The schedules of one store. `clock` gives Unix seconds."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        builder: Builder,
        knowledge: Knowledge | None = None,
        clock: Clock = time.time,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        forge, clone = connect(settings), open_clone(settings, store)
        self._desk = Desk(settings, store, builder, forge, knowledge or Nothing(), clone, clock, between)
        self._store, self._clock, self._wait = store, clock, max(WAIT, settings.poll)
        self._timetable, self._patience = Timetable(store, clock), defaultdict[str, Patience](Patience)

    def run_due(self, fleet: Fleet, revision: Revision) -> None:
        """Whatever is due, and what is to be done about what boxes went back from.

        Raises:
            LeaseError: another controller has taken over.
        """
        if fleet.policy.security:
            self._run_all(fleet.policy.security, fleet, revision)
        self._look_back(Reverts(self._desk).look, UNSETTLED_ROLLOUT, fleet, revision)
        self._look_back(Proposals(self._desk).look, UNNAMED, fleet, revision)

    def _run_all(self, patching: Patching, fleet: Fleet, revision: Revision) -> None:
        try:
            self._look_back(Aftermath(self._desk).look, UNSETTLED, fleet, revision)
            done = set[Window]()
            while window := self._timetable.claim(patching, done):
                done.add(window)
                self._run(window, fleet, revision)
        except LeaseError:
            raise
        except Exception as caught:
            log.error("security.failed", error=readable(caught).message)

    def run_now(self, fleet: Fleet, revision: Revision) -> dict[Window, str]:
        """Every schedule, whatever the time. Returns what came of each.

        Raises:
            LeaseError: another controller has taken over.
        """
        outcomes = {}
        for window in fleet.policy.security.windows() if fleet.policy.security else ():
            self._timetable.begin(window)
            outcomes[window] = self._run(window, fleet, revision)
        return outcomes

    def _look_back(self, look: Look, unsettled: str, fleet: Fleet, revision: Revision) -> None:
        """What became of what is out. When that cannot be done, it is tried ever more rarely, and runs go on."""
        now, patience = self._clock(), self._patience[unsettled]
        if not patience.over(now):
            return
        try:
            look(fleet, revision)
        except LeaseError:
            raise
        except MovedError as moved:
            log.info("security.moved", message=moved.message)
        except Exception as caught:
            error = readable(caught)
            log.warning("security.not_settled", what=unsettled, error=error.message, hint=error.hint)
            if patience.failed(error.message, now):
                self._tell(f"{unsettled}: {error.message}", error.hint)
        else:
            self._patience.pop(unsettled)

    def _run(self, window: Window, fleet: Fleet, revision: Revision) -> str:
        """One run that is begun; its end is remembered, whatever it is."""
        log.info("security.run", window=window)
        if unended := self._timetable.runs()[window].unended:
            hint = "see what ended the controller then (memory?); it is tried ever more rarely"
            self._tell(f"{window}: the run before never ended, {unended} in a row", hint)
        try:
            outcome = Run(self._desk, window, fleet, revision).go()
        except LeaseError:
            raise
        except (WaitsError, MovedError) as error:
            self._timetable.finish(window, error.message, retry=int(self._clock()) + self._wait)
            return error.message
        except Exception as caught:
            return self._failed(window, readable(caught))
        self._timetable.finish(window, outcome)
        log.info("security.done", window=window, outcome=outcome)
        return outcome

    def _failed(self, window: Window, error: TowerosError) -> str:
        before = self._timetable.runs()[window].error
        if before != error.message:
            self._tell(f"{window}: {error.message}", error.hint)
        log.warning("security.run_failed", window=window, error=error.message, hint=error.hint)
        self._timetable.finish(window, error.hint, error.message)
        return error.message

    def _tell(self, message: str, hint: str) -> None:
        self._store.events.add("", EventType.WARNING, Happened.UPDATES, f"{message}; {hint}" if hint else message)
