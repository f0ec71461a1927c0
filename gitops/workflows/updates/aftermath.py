"""What became of updates that went out: kept by every box, or taken back.

In: the deployed revision, the boxes' states. Out: sets that are held, and a commit that takes them back. Rules: an
update is out while the deployed locks are the ones that it wrote; only boxes that are to run a commit which brought it
tell of it: whatever fails elsewhere is somebody else's. As soon as one of them went back, all that is out by itself is
held as one set and taken back, by the way on which updates go out; what was more than one goes again, one by one. When
each of them is healthy with it and free to say so, it is done. Where an update deployed under somebody's commit on top
of it, nobody can tell which of both boxes went back from: that is said, and people decide.

    Aftermath(desk).look(fleet, revision)
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import structlog

from gitops.model import BoxState, EventType, Fleet, Happened, Health, Revision, Sync, sha256
from gitops.model.updates.patching import Failed, How, Move, Proposal
from gitops.rollout.holds import reasons
from gitops.security.schedule.choice import by_itself, set_key
from gitops.source.clone.pushing import Draft, PushClone
from gitops.workflows.updates.desk import Desk
from gitops.workflows.updates.memory import Memory
from gitops.workflows.updates.pulls import is_pull
from gitops.workflows.updates.tagging import make_up, next_name, release, sealed

log = structlog.get_logger(__name__)


class Aftermath:
    """Looks at the boxes after a pass."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._memory = desk, Memory(desk.store, desk.clock)

    def look(self, fleet: Fleet, revision: Revision) -> None:
        """Settle or take back what is out.

        Raises:
            SourceError: the remote is away, or somebody pushed in between: it is looked at again after the next pass.
        """
        proposals = self._memory.patches.proposals
        if not proposals:
            return
        clone = self._desk.clone()
        if not clone.has(revision.commit):
            clone.fetch(fleet.policy.branch or clone.heads().default)
        out = {
            name: self._deployed(name, each, revision)
            for name, each in proposals.items()
            if _is_out(clone, revision.commit, each)
        }
        if out:
            self._judge(clone, fleet, revision, out)
        for name, each in proposals.items():
            if name not in out and not is_pull(each) and self._is_gone(clone, fleet, revision, each):
                self._memory.forget(name)

    def _deployed(self, name: str, proposal: Proposal, revision: Revision) -> Proposal:
        """With the first commit that brought it."""
        if not proposal.deployed:
            proposal = replace(proposal, deployed=revision.commit)
            self._memory.keep(name, proposal)
        return proposal

    def _is_gone(self, clone: PushClone, fleet: Fleet, revision: Revision, proposal: Proposal) -> bool:
        """It went out, and its locks were replaced since; or its push never reached the branch."""
        sent = proposal.pushed or proposal.pushing
        if clone.descends(revision.commit, sent):
            return True
        return not clone.descends(clone.fetch(fleet.policy.branch or clone.heads().default), sent)

    def _judge(self, clone: PushClone, fleet: Fleet, revision: Revision, out: Mapping[str, Proposal]) -> None:
        held, now = reasons(fleet, self._desk.store).keys(), time.time()
        states = [state for state in self._desk.store.states.all() if state.name in fleet.boxes]
        brought = {each: _brought(clone, revision.commit, each, out) for each in set(map(_commit, states))}
        told = [state for state in states if brought[_commit(state)]]
        failed = [state for state in told if state.wanted.content in state.failed and state.name not in held]
        mixed = {name: each for name, each in out.items() if _mixed(each)}
        unsure = [state for state in states if _commit(state) in {each.deployed for each in mixed.values()}]
        lost = [state.name for state in unsure if state.wanted.content in state.failed and state.name not in held]
        if failed:
            blamed = {name for state in failed for name in brought[_commit(state)]}
            bad = {name: each for name, each in out.items() if name in blamed or not is_pull(each)}
            self._take_back(clone, fleet, revision, bad, tuple(state.name for state in failed))
        elif lost:
            self._unsure(mixed, lost)
        elif all(_keeps(state, now) and state.name not in held for state in (*told, *unsure)):
            for name in [name for name, proposal in out.items() if not is_pull(proposal)]:
                self._memory.forget(name)

    def _unsure(self, mixed: Mapping[str, Proposal], boxes: list[str]) -> None:
        """Say once that boxes went back from an update and somebody's commit at the same time."""
        note = f"{', '.join(boxes)} went back from it and from a commit that somebody pushed on top of it"
        for name, proposal in mixed.items():
            if proposal.note != note:
                self._memory.keep(name, replace(proposal, note=note))
                words = f"{', '.join(map(str, proposal.moves))}: {note}: which of both it was is not certain"
                self._desk.say(EventType.WARNING, Happened.UPDATES, f"{words}; nothing is taken back by itself")

    def _take_back(
        self, clone: PushClone, fleet: Fleet, revision: Revision, out: Mapping[str, Proposal], failed: tuple[str, ...]
    ) -> None:
        moves = tuple(sorted({move for each in out.values() for move in each.moves}))
        why = f"boxes went back from it: {', '.join(failed)}{self._said(failed)}"
        if set_key(moves) not in self._memory.patches.held:
            self._memory.hold(moves, Failed.boxes, why)
            self._desk.store.events.add(
                "", EventType.WARNING, Happened.WITHHELD, f"{', '.join(map(str, moves))}: {why.splitlines()[0]}"
            )
        patching = fleet.policy.security
        if patching is None or not by_itself(patching):
            return  # people merged it, and people take it back
        now, branch = int(self._desk.clock()), fleet.policy.branch or clone.heads().default
        if (head := clone.fetch(branch)) != revision.commit:
            make_up(self._desk, clone, self._memory, fleet, revision, head)
            return  # somebody is at it, or there is more to deploy first
        tag = next_name(clone.heads(), fleet.policy.tags, revision.ref) if patching.how is How.tag else ""
        draft = Draft(revision.commit, _before(clone, out), _message(moves, why), now)
        commit = clone.commit(draft)
        seal = sealed(self._desk, clone, branch, commit, tag)
        for name, proposal in out.items():
            self._memory.keep(name, replace(proposal, pushing=commit))
        clone.push(f"refs/heads/{branch}", commit, revision.commit)
        if tag:
            release(clone, tag, seal)
        for name in out:
            self._memory.forget(name)
        log.warning("security.taken_back", updates=[str(move) for move in moves], commit=commit)

    def _said(self, boxes: tuple[str, ...]) -> str:
        """The reasons that the boxes gave."""
        states = {state.name: state for state in self._desk.store.states.all()}
        said = {failure.reason for box in boxes if box in states for failure in states[box].failures}
        return "".join(f"\n{reason}" for reason in sorted(said) if reason)


def _is_out(clone: PushClone, commit: str, proposal: Proposal) -> bool:
    tree = clone.files(commit)
    there = tree.entries()
    return bool(proposal.locks) and all(
        path in there and sha256(tree.read(path)) == digest for path, digest in proposal.locks.items()
    )


def _commit(state: BoxState) -> str:
    """The one of which its release was made, out of `ref@sha1:COMMIT`."""
    return state.wanted.revision.rpartition("@sha1:")[2]


def _brought(clone: PushClone, deployed: str, commit: str, out: Mapping[str, Proposal]) -> frozenset[str]:
    """Those that came with a commit."""
    if not commit or not clone.has(commit):
        return frozenset()
    return frozenset(name for name, proposal in out.items() if _brings(clone, deployed, commit, proposal))


def _brings(clone: PushClone, deployed: str, commit: str, proposal: Proposal) -> bool:
    if commit == proposal.pushed or commit == proposal.pushing == deployed:
        return True
    if not is_pull(proposal):
        return False
    # Whoever merges a pull request makes a commit of their own.
    before = clone.parents(commit)[:1]
    return _is_out(clone, commit, proposal) and not any(_is_out(clone, each, proposal) for each in before)


def _mixed(proposal: Proposal) -> bool:
    """Whether the commit that brought it was somebody's, on top of ours."""
    return proposal.deployed not in ("", proposal.pushed, proposal.pushing) and not is_pull(proposal)


def _keeps(state: BoxState, now: float) -> bool:
    return state.sync == Sync.SYNCED and state.heard(now) == Health.HEALTHY


def _before(clone: PushClone, out: Mapping[str, Proposal]) -> dict[str, bytes]:
    """The locks as they were below the first of them."""
    files: dict[str, bytes] = {}
    for proposal in out.values():
        tree = clone.files(proposal.base)
        there = tree.entries()  # an images.lock that was not there says nothing again when it is empty
        files |= {path: tree.read(path) if path in there else b"" for path in proposal.locks}
    return files


def _message(moves: tuple[Move, ...], why: str) -> str:
    subject = f"locks: take back {moves[0]}" if len(moves) == 1 else f"locks: take back {len(moves)} updates"
    return "\n".join([subject, "", *(f"{move.source} {move.new} -> {move.old}" for move in moves), "", why, ""])
