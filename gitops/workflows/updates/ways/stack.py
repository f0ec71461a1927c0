"""Updates that go out by themselves: a commit on the other, one push of them all, and a tag where tags deploy.

In: what may go, the deployed commit. Out: commits on the branch that deploys. Rules: each commit is built, and judged
as the next pass would, before the next one stands on it: what is held, refused or not ripe is left out, and the others
go; images wait until boxes keep the ones before; the push is taken whole, or not at all; what is pushed is remembered
before it is.

    stack = Stack(tries, Window.packages, refusals)
    stack.go(survey, facts)             # ["openssl"]
    stack.waiting                       # 2
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property

import structlog

from gitops.fleet.images.lockfile import FILE
from gitops.model import EventType, Happened
from gitops.model.updates.patching import How, Patching, Proposal, Window
from gitops.security.schedule.choice import Facts, apart, ripe_at
from gitops.workflows.updates.gate import Refusals, RefusedError
from gitops.workflows.updates.images.survey import Joined
from gitops.workflows.updates.memory import Memory
from gitops.workflows.updates.pulls import is_pull
from gitops.workflows.updates.survey import Parcel
from gitops.workflows.updates.tagging import next_name, release, sealed
from gitops.workflows.updates.tries import Tries

log = structlog.get_logger(__name__)

TRIAL = 3 * 86400
"""Seconds that a suspect, or an image, waits for the one before: boxes that are silent for longer keep nothing back."""


class Stack:
    """That of one run. `waiting`: updates that may go later."""

    def __init__(self, tries: Tries, window: Window, refusals: Refusals) -> None:
        self._tries, self._window, self._refusals = tries, window, refusals
        self._desk, self._clone, self._base = tries.desk, tries.clone, tries.base
        self._fleet, self._revision = tries.point
        assert self._fleet.policy.security
        self._patching: Patching = self._fleet.policy.security
        self._memory = Memory(self._desk.store, self._desk.clock)
        self.waiting = 0

    def go(self, survey: Joined, facts: Facts) -> list[str]:
        """Bring there what may go. Returns its sources."""
        alone = apart(self._desk.listen(lambda: survey.chosen), facts)  # registries are asked, and may take minutes
        if alone and (waits := self._on_trial()):
            log.info("security.waits", until_boxes_keep=waits)
            self.waiting = len(survey.chosen.go)
            return []
        head, seal, below = self._base.commit, "", frozenset[str]()
        proposals: dict[str, Proposal] = {}
        for first in self._desk.listen(survey.parcels):
            if ripe_at(first.updates, self._patching, facts) > self._base.time or self._blocked(first):
                self.waiting += len(first.updates)
                continue
            parcel = self._again(survey, first, below) if below else first
            made = self._tries.commit(parcel, head) if parcel else ""
            if not parcel or not made or (sealed := self._sealed(parcel, made)) is None:
                continue
            head, seal, below = made, sealed, below | {move.source for move in parcel.moves}
            proposals[parcel.name] = self._proposal(parcel)
            if alone:
                self.waiting += 1
                break
        if proposals:
            self._send(head, seal, proposals)
        return [move.source for each in proposals.values() for move in each.moves]

    def _on_trial(self) -> list[str]:
        """What went out by itself, and no box has settled yet: the next suspect must not be blamed for it."""
        proposals = self._memory.patches.proposals.items()
        return [name for name, each in proposals if _on_trial(each, self._base.time)]

    def _blocked(self, parcel: Parcel) -> bool:
        waits = blocked(parcel.files, self._memory.patches.proposals, self._base.time)
        if waits:
            log.info("security.waits", parcel=parcel.name, until_boxes_keep=waits)
        return bool(waits)

    def _again(self, survey: Joined, first: Parcel, below: frozenset[str]) -> Parcel | None:
        """A parcel on top of those that go before it."""
        return self._desk.listen(lambda: survey.parcel(frozenset(move.source for move in first.moves), below))

    def _sealed(self, parcel: Parcel, commit: str) -> str | None:
        """The object of the release tag that this commit would have; None: it would not deploy."""
        try:
            return sealed(self._desk, self._clone, self._base.branch, commit, self._tag)
        except RefusedError as error:
            self._refusals.add(parcel.name, error)
            return None

    @cached_property
    def _tag(self) -> str:
        """Its name is known to be right before anything is pushed that would wait for it."""
        if self._patching.how is not How.tag:
            return ""
        return next_name(self._clone.heads(), self._fleet.policy.tags, self._revision.ref)

    def _proposal(self, parcel: Parcel) -> Proposal:
        ref, base = f"refs/heads/{self._base.branch}", self._base
        return Proposal(ref, self._window, parcel.moves, base.commit, parcel.digests, since=base.time)

    def _send(self, head: str, seal: str, proposals: dict[str, Proposal]) -> None:
        whole = {path: digest for each in proposals.values() for path, digest in each.locks.items()}
        proposals = {
            name: replace(each, locks={path: whole[path] for path in each.locks}) for name, each in proposals.items()
        }
        for name, proposal in proposals.items():
            self._memory.keep(name, replace(proposal, pushing=head))
        self._clone.push(f"refs/heads/{self._base.branch}", head, self._base.commit)
        if seal:
            release(self._clone, self._tag, seal)
        for name, proposal in proposals.items():
            self._memory.keep(name, replace(proposal, pushed=head))
        words = ", ".join(str(move) for proposal in proposals.values() for move in proposal.moves)
        self._desk.say(EventType.NORMAL, Happened.PROPOSED, f"{self._base.branch}@{head[:12]}: {words}")


def blocked(paths: Iterable[str], proposals: Mapping[str, Proposal], now: int) -> list[str]:
    """What wrote images.lock by itself, and no box has settled yet, when this would write it again. All images share
    that file: the one before would no longer count as out, and a box that goes back from it would have the next one
    blamed, and the one before kept. Packages do not wait: a fix is worth more than knowing whom to blame."""
    shared = {FILE} & set(paths)
    return [name for name, each in proposals.items() if shared & each.locks.keys() and _on_trial(each, now)]


def _on_trial(proposal: Proposal, now: int) -> bool:
    """It went out by itself, not long ago; from a clock that was ahead, nobody knows when."""
    return not is_pull(proposal) and 0 <= now - proposal.since < TRIAL
