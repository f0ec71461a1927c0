"""A rollout that stopped opens a pull request that takes back what stopped it, once.

In: the deployed revision, the boxes' states. Out: `toweros/revert-COMMIT` on the remote and, on a forge, a pull
request; never the branch that deploys. Rules:

- Once for each deployed commit, whatever became of it: what is remembered counts, and what the remote and the forge
  have, for the database may be lost, or a controller killed between two steps.
- A branch of that name that our key did not sign is left alone, and that is said.
- On top of the deployed commit alone: while the branch that deploys has moved on, nothing is made.
- When the rollout goes on, or another commit is deployed, the pull request is closed and the branch removed.

    Reverts(desk).look(fleet, revision)
"""

from dataclasses import replace

import structlog

from gitops.errors import ForgeError
from gitops.model import EventType, Fleet, Happened, Revision
from gitops.model.rollout.reverts import OnStop, Revert
from gitops.source.clone.pushing import PushClone
from gitops.store.notes.waves import Reverts as Document
from gitops.workflows.reverts.blame import blame, stopped
from gitops.workflows.reverts.drafts import UnfitError, draft, tree_of
from gitops.workflows.reverts.nouns import Case, Look, Taken
from gitops.workflows.reverts.text import text
from gitops.workflows.updates.desk import Desk

log = structlog.get_logger(__name__)

PREFIX, SHORT = "toweros/revert-", 12
REMEMBERED = 100
"""Commits; those that are remembered no more are long overtaken."""
THEIRS = "a branch of that name is there, and the controller's key did not sign it: it is left alone"
REMOVED = "somebody removed the branch"
NOTHING = "nothing was deployed before what stopped it"
GOES_ON, OVERTAKEN = "obsolete: the rollout goes on", "obsolete: another commit is deployed"


class Reverts:
    """Looks at the rollout after a pass."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._notes = desk, desk.store.notes

    def look(self, fleet: Fleet, revision: Revision) -> None:
        """Propose what is to be proposed, and close what is obsolete.

        Raises:
            SourceError, ForgeError: the remote or the forge is away, or does not let us: it is looked at again.
        """
        wants = fleet.policy.careful.on_stop is OnStop.PROPOSE
        rows = self._rows()
        if not wants and all(row.ended for row in rows.values()):
            return
        self._note(revision, wants=wants)
        found = stopped(self._desk.store, fleet, revision, self._desk.clock()) if wants else None
        for commit, each in rows.items():
            if not each.ended and (commit != revision.commit or not (found and found.stops)):
                self._end(commit, each, GOES_ON if commit == revision.commit else OVERTAKEN)
        row = rows.get(revision.commit)
        if found and found.stops and not (row and (row.ended or self._done(row))):
            self._propose(fleet, revision, found, row)

    def _done(self, row: Revert) -> bool:
        return row.pushed and bool(row.pull or self._desk.forge is None)

    def _propose(self, fleet: Fleet, revision: Revision, look: Look, row: Revert | None) -> None:
        clone = self._desk.clone()
        heads = clone.heads()
        branch = fleet.policy.branch or heads.default
        if clone.fetch(branch) != revision.commit:
            log.info("revert.moved_on", branch=branch, deployed=revision.commit)
            return
        row = row or Revert(f"{PREFIX}{revision.commit[:SHORT]}", since=int(self._desk.clock()))
        there = heads.branches.get(row.branch, "")
        try:
            if row.pushed and not there:
                raise UnfitError(REMOVED)
            taken = self._draft(clone, fleet, revision, look)
            if there and there != row.commit:
                self._adopt(clone, row.branch, revision, taken)
        except UnfitError as error:
            self._keep(revision.commit, replace(row, note=error.message, ended=True))
            self._desk.say(EventType.WARNING, Happened.PROPOSED, f"{row.branch}: {error.message}; nothing is proposed")
            return
        if not there:
            row = replace(row, commit=taken.commit)
            self._keep(revision.commit, row)  # whoever lost the lease stops here
            clone.push(f"refs/heads/{row.branch}", taken.commit, "")
        row = replace(row, commit=there or taken.commit, pushed=True)
        self._keep(revision.commit, row)
        if self._desk.forge:
            words = taken.subject, text(look, taken, revision.commit, fleet.policy)
            number = self._desk.forge.proposed(row.branch, branch)
            number = number or self._desk.forge.propose(row.branch, branch, *words)
            row = replace(row, pull=number)
        self._desk.say(EventType.WARNING, Happened.PROPOSED, str(row))
        self._keep(revision.commit, row)

    def _adopt(self, clone: PushClone, branch: str, revision: Revision, taken: Taken) -> None:
        """Raises UnfitError when it is no commit of ours that says and stands on the same; content may differ, where
        the store no longer knows what was deployed before."""
        there = clone.fetch(branch)
        same = clone.describe("", there, 0).subject == taken.subject and clone.parents(there) == [revision.commit]
        if not same or not clone.ours(there):
            raise UnfitError(THEIRS)

    def _draft(self, clone: PushClone, fleet: Fleet, revision: Revision, look: Look) -> Taken:
        blamed = blame(clone, look, revision, {*self._document.deployed})
        if blamed is None:
            raise UnfitError(NOTHING)
        case = Case(revision, blamed, look.boxes, self._desk.settings.platform)
        refused = {tree_of(clone, commit) for commit in self._rows() if clone.has(commit)}
        return draft(clone, case, refused, int(self._desk.clock()))

    def _end(self, commit: str, row: Revert, why: str) -> None:
        """Close the pull request, remove the branch while it is ours."""
        if self._desk.forge and row.pull:
            try:
                self._desk.forge.withdraw(row.pull)
            except ForgeError as error:
                if error.wait:
                    raise
                log.warning("revert.not_closed", pull=row.pull, error=error.message)
        if row.commit:
            clone = self._desk.clone()
            if clone.heads().branches.get(row.branch) == row.commit:
                clone.remove(f"refs/heads/{row.branch}", row.commit)
        ended = replace(row, note=why, ended=True)
        self._desk.say(EventType.NORMAL, Happened.PROPOSED, str(ended))
        self._keep(commit, ended)

    @property
    def _document(self) -> Document:
        return self._notes.get(Document) or Document()

    def _rows(self) -> dict[str, Revert]:
        return dict(self._document.proposed)

    def _note(self, revision: Revision, *, wants: bool) -> None:
        """What is deployed, for what comes after it."""
        if wants and self._document.deployed[-1:] != (revision.commit,):
            self._notes.change(
                Document, lambda old: replace(old, deployed=(*old.deployed, revision.commit)[-REMEMBERED:])
            )

    def _keep(self, commit: str, row: Revert) -> None:
        def change(old: Document) -> Document:
            rows = sorted({**old.proposed, commit: row}.items(), key=lambda each: each[1].since)
            return replace(old, proposed=dict(rows[-REMEMBERED:]))

        self._notes.change(Document, change)
