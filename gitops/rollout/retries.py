"""Who wants a release to be tried again that failed on a box: `retry:` in Git, or what an operator said.

For causes outside of the release: the mast was down, the other side was. Each reason counts once: it travels to the box
with the signed metadata, and the box tries again what it did not try for that reason yet; a new reason is a new try. So
taking a reason back starts nothing, and a release that fails again is held again. An older agent does not try again.
What an operator said is about what failed then: a later release that fails has no second try by it.

    retry(store, "site-7", "ada", "the mast was down", now)
    reasons(fleet, store)["site-7"]         # ("ada: the mast was down (2026-11-23 03:12 UTC)",)
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from gitops.errors import TowerosError
from gitops.model import EventType, Fleet, Happened, Report
from gitops.rollout.rules import Facts
from gitops.store import Store
from gitops.store.notes.documents import Retries, Suspension
from gitops.store.notes.waves import RetriedContents

LENGTH = 200
"""Characters of a reason that travel to a box."""


def retry(store: Store, box: str, who: str, why: str, now: int) -> bool:
    """Try again what failed there, from the next pass on; in place of what was said of this box before. False: the same
    was said, and the box did not hear it yet.

    Raises:
        TowerosError: its agent is of before, and would drop the reason.
    """
    report = store.boxes.report(box)
    if report and report.retried is None:
        hint = "change what failed by a commit: a release with another content is tried; the next agent knows `retry`"
        raise TowerosError(f"the agent on {box} is too old to try again what failed", hint=hint)
    said, state = Suspension(who, why, now), store.states.one(box)
    if _pending(_standing(store).get(box), said, report):
        return False
    about = {box: state.wanted.content} if state and state.wanted.content in state.failed else {}
    store.notes.change(
        RetriedContents,
        lambda known: RetriedContents({**{name: each for name, each in known.rows.items() if name != box}, **about}),
    )
    store.notes.change(Retries, lambda known: Retries({**known.rows, box: said}))
    store.events.add(box, EventType.NORMAL, Happened.RETRY, f"{who}: {why}")
    return True


def _pending(before: Suspension | None, said: Suspension, report: Report | None) -> bool:
    same = before is not None and (before.who, before.why) == (said.who, said.why)
    tried = (report.retried if report else None) or ()
    return same and before is not None and _text(before)[:LENGTH] not in tried


def reasons(fleet: Fleet, store: Store) -> dict[str, tuple[str, ...]]:
    """Box -> why what failed there is tried again; no entry where nobody wants that."""
    said = _standing(store)
    found = {
        name: tuple(why[:LENGTH] for why in (box.retry, _text(said[name]) if name in said else "") if why)
        for name, box in fleet.boxes.items()
    }
    return {name: why for name, why in found.items() if why}


def _standing(store: Store) -> dict[str, Suspension]:
    """What operators said, but for what was about another content than the box is to run by now."""
    said = (store.notes.get(Retries) or Retries()).rows
    about = (store.notes.get(RetriedContents) or RetriedContents()).rows if said else {}
    states = {box: store.states.one(box) for box in said.keys() & about.keys()}
    over = {box for box, state in states.items() if state is None or state.wanted.content != about[box]}
    return {box: each for box, each in said.items() if box not in over}


def forgiven(facts: Mapping[str, Facts], wanted: Mapping[str, tuple[str, ...]], store: Store) -> dict[str, Facts]:
    """The facts, without what a box failed on and has yet to try again: it keeps nobody from anything meanwhile."""
    pending = {}
    for box, why in wanted.items():
        if box in facts and facts[box].failed:
            report = store.boxes.report(box)
            if report and report.retried is not None and {*why} - {*report.retried}:
                pending[box] = replace(facts[box], failed=frozenset())
    return {**facts, **pending}


def _text(said: Suspension) -> str:
    return f"{said.who}: {said.why} ({datetime.fromtimestamp(said.since, UTC):%Y-%m-%d %H:%M:%S} UTC)"
