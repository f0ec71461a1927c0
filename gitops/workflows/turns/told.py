"""What a pass leaves for people: how far the commit is.

In: the fleet, the revision that is rolled out, the store. Out: the document `Course`. Rules: what stays the same is not
written again; once all boxes run a commit and are well, nobody looks any more; the last `KEPT` commits are remembered;
what is damaged is written anew; nothing here holds up a pass.

    tell(store, fleet, revision, now)
"""

from collections.abc import Iterable, Mapping

import structlog

from gitops.errors import StoreError
from gitops.model import BoxState, Fleet, Health, Revision
from gitops.model.rollout.course import Course, Sample
from gitops.store import LeaseError, Store

log = structlog.get_logger(__name__)

KEPT = 100
"""Commits."""


def tell(store: Store, fleet: Fleet, revision: Revision, now: int) -> None:
    """As of now (Unix seconds)."""
    before = _kept(store, revision.commit)
    if before and before.ended:
        return
    course = before or Course(str(revision), len(fleet.boxes), now)
    states = (state for state in store.states.all() if state.name in fleet.boxes)
    if (after := course.add(sample(states, now))) != before:
        store.notes.put(after, revision.commit)
    if before is None:
        _forget(store)


def sample(states: Iterable[BoxState], now: int) -> Sample:
    """How many boxes are how."""
    offered = running = well = trouble = 0
    for state in states:
        healthy = state.settled and state.wanted == state.published and state.heard(now) == Health.HEALTHY
        refused = any(failure.release == state.wanted.release for failure in state.failures)
        offered += not state.candidate.release
        running += state.taken and not state.candidate.release
        well += healthy
        trouble += state.heard(now) in (Health.DEGRADED, Health.MISSING) or (refused and not healthy)
    return Sample(now, offered, running, well, trouble)


def courses(store: Store) -> Mapping[str, Course]:
    """By commit, the newest first; none, while one is damaged."""
    try:
        found = store.notes.each(Course)
    except StoreError as error:
        log.warning("courses.damaged", why=error.message)
        return {}
    return dict(sorted(found.items(), key=lambda each: (-each[1].began, each[0])))


def _kept(store: Store, commit: str) -> Course | None:
    try:
        return store.notes.get(Course, commit)
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("told.damaged", why=error.message)
        return None


def _forget(store: Store) -> None:
    if old := list(courses(store))[KEPT:]:
        store.notes.forget(Course, old)
