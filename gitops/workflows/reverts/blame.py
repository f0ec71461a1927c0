"""Which commits a stopped rollout is about, and what there was before them.

In: the boxes that stopped it, the store, a clone. Out: a `Blame`. Rules: the commit that counts is the one of which a
box's release was made, not what was deployed on top of it since; what is taken back begins after the newest commit
that was deployed before, for one push may bring several; where nobody knows, that is the first parent.

    look = stopped(store, fleet, revision, now)         # empty: the rollout goes on
    blame(clone, look, revision, deployed)              # Blame(before="5c1e...", newest="90ab...")
"""

from collections.abc import Container

from gitops.model import Fleet, Revision
from gitops.rollout import retries, rules, steering
from gitops.rollout.media import on_media
from gitops.rollout.stops import stops
from gitops.source.clone.commits import Clone
from gitops.store import Store
from gitops.workflows.reverts.nouns import Blame, Look

FAR = 500
"""Commits, along first parents, among which the last deployed one is looked for."""


def stopped(store: Store, fleet: Fleet, revision: Revision, now: float) -> Look:
    """As the rules of the rollout see it."""
    states = {state.name: state for state in store.states.all() if not state.damaged and state.name in fleet.boxes}
    wanted = {box: state.wanted.content for box, state in states.items() if state.wanted.release}
    apart = on_media(store)
    wanted = {box: content for box, content in wanted.items() if box not in apart}
    facts = {box: rules.Facts.of(states[box], now) for box in wanted}
    facts = retries.forgiven(facts, retries.reasons(fleet, store), store)
    found = stops(fleet, wanted, facts, store.holds.all(), steering.of(store, revision))
    named = {box for boxes in found.values() for box in boxes}
    return Look(found, {box: states[box] for box in named})


def blame(clone: Clone, look: Look, revision: Revision, deployed: Container[str]) -> Blame | None:
    """`deployed`: commits that once were. None: nothing that is deployed, or nothing that anything was deployed before.

    Raises:
        one of `DAMAGE`: the clone is damaged.
    """
    made = {state.wanted.revision.rpartition("@sha1:")[2] for state in look.states.values()}
    commits = sorted((each for each in made if each and clone.descends(revision.commit, each)), key=clone.count)
    before = _deployed_before(clone, commits[0], deployed) if commits else ""
    return Blame(before, commits[-1]) if before else None


def _deployed_before(clone: Clone, commit: str, deployed: Container[str]) -> str:
    first = parent = next(iter(clone.parents(commit)), "")
    for _ in range(FAR):
        if not parent or not clone.has(parent):
            break
        if parent in deployed:
            return parent
        parent = next(iter(clone.parents(parent)), "")
    return first if first and clone.has(first) else ""
