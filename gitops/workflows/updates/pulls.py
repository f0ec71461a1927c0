"""Security updates as branches of our own and, on a forge, as pull requests: opened, kept up to date, closed.

In: parcels, the commit that they stand on. Out: `toweros/security/NAME` on the remote, a pull request for each. Rules:
what is the same is not pushed again; a branch that somebody else pushed to is left alone, and that is said; a branch
whose updates are merged, gone or held is removed; what the remote may have of a push that we did not survive is ours.
"""

from collections.abc import Container
from dataclasses import dataclass, replace

import structlog

from gitops.errors import ForgeError
from gitops.forges.forge import Forge
from gitops.model.updates.patching import Proposal, Window
from gitops.review.markdown import LIMIT, plain
from gitops.security.schedule.message import SHOWN, UNKNOWN, UNSURE, advisories
from gitops.source.clone.pushing import Draft, MovedError, PushClone
from gitops.workflows.updates.memory import Memory
from gitops.workflows.updates.survey import Parcel

log = structlog.get_logger(__name__)

PREFIX = "toweros/security/"
THEIRS = "somebody else's commits are on the branch: it is left alone until they are gone"
FOOTER = (
    "Made by the controller's schedule (docs/updates.md): it is brought up to date in place, and "
    "closed when nothing of it is left. Whoever merges it signs the merge."
)


@dataclass(frozen=True)
class Base:
    """What proposals stand on: the branch that deploys, its deployed commit, the time of the run (Unix seconds)."""

    branch: str
    commit: str
    time: int


class Pulls:
    """The branches and pull requests of one remote. `heads`: its branches as the run began."""

    def __init__(self, clone: PushClone, forge: Forge | None, memory: Memory, base: Base) -> None:
        self._clone, self._forge, self._memory, self._base = clone, forge, memory, base
        self._branches = clone.heads().branches

    def offer(self, parcel: Parcel, window: Window) -> Proposal:
        """Have the parcel there. Returns the proposal as it stands; with a `note` when it could not be brought there.

        Raises:
            SourceError, ForgeError: the remote or the forge is away, or does not let us.
        """
        before = self._memory.patches.proposals.get(parcel.name, Proposal(""))
        wanted = replace(
            before,
            ref=f"refs/heads/{PREFIX}{parcel.name}",
            window=window,
            moves=parcel.moves,
            base=self._base.commit,
            locks=parcel.digests,
            since=before.since if before.moves == parcel.moves else self._base.time,
            note="",
        )
        there = self._branches.get(f"{PREFIX}{parcel.name}", "")
        if there and there not in (before.pushed, before.pushing):
            return self._left_alone(parcel.name, wanted)
        if not self._same(before, wanted, there):
            draft = Draft(self._base.commit, parcel.files, parcel.message, self._base.time)
            wanted = self._push(parcel.name, replace(wanted, pushing=self._clone.commit(draft)), there)
        elif before.pushing:
            wanted = replace(wanted, pushed=there, pushing="")
        self._memory.keep(parcel.name, wanted)
        return self._show(parcel, wanted) if self._forge else wanted

    def retire(self, windows: Container[Window], stay: Container[str] = ()) -> None:
        """Take away what these schedules no longer offer."""
        for name, proposal in self._memory.patches.proposals.items():
            if is_pull(proposal) and proposal.window in windows and name not in stay:
                self._remove(name)

    def _push(self, name: str, wanted: Proposal, there: str) -> Proposal:
        self._memory.keep(name, wanted)  # killed from here on: the commit is known as ours
        try:
            self._clone.push(wanted.ref, wanted.pushing, there)
        except MovedError:
            return self._left_alone(name, replace(wanted, pushing=""))
        return replace(wanted, pushed=wanted.pushing, pushing="")

    def _left_alone(self, name: str, wanted: Proposal) -> Proposal:
        noted = replace(wanted, note=THEIRS)
        self._memory.keep(name, noted)
        log.warning("security.branch_taken", branch=noted.ref)
        return noted

    def _same(self, before: Proposal, wanted: Proposal, there: str) -> bool:
        """The remote has these locks on this base already, in a commit of ours that says the same."""
        asked = (before.base, before.locks, before.moves) == (wanted.base, wanted.locks, wanted.moves)
        return asked and bool(there)

    def _show(self, parcel: Parcel, wanted: Proposal) -> Proposal:
        assert self._forge
        if wanted.note:
            return wanted
        branch = wanted.ref.removeprefix("refs/heads/")
        number = self._forge.propose(branch, self._base.branch, parcel.message.partition("\n")[0], text(parcel))
        shown = replace(wanted, pull=number)
        self._memory.keep(parcel.name, shown)
        return shown

    def _remove(self, name: str) -> None:
        proposal = self._memory.patches.proposals[name]
        there = self._branches.get(f"{PREFIX}{name}", "")
        if self._forge and proposal.pull:
            try:
                self._forge.withdraw(proposal.pull)
            except ForgeError as error:
                if error.wait:
                    raise
                log.warning("security.not_closed", pull=proposal.pull, error=error.message)
        if there and there in (proposal.pushed, proposal.pushing):
            self._clone.remove(proposal.ref, there)
        self._memory.forget(name)


def is_pull(proposal: Proposal) -> bool:
    """Whether it has a branch of its own."""
    return proposal.ref.startswith(f"refs/heads/{PREFIX}")


def text(parcel: Parcel) -> str:
    """A pull request's words, as Markdown. What feeds say is harmless in it."""
    lines, known = [], False
    for update in parcel.updates:
        lines.append(f"- **{plain(update.move.source)}** {plain(update.move.old)} -> {plain(update.move.new)}")
        every = advisories(update)
        known = known or bool(every)
        for finding in every[:SHOWN]:
            link = finding.advisory.link
            name = plain(finding.advisory.id)
            shown = f"[{name}]({link})" if link.startswith("https://") and not set(link) & set(" ()<>\"'`") else name
            lines.append(f"  - {shown} {finding.advisory.severity} {plain(finding.advisory.title)}".rstrip())
        lines += [f"  - and {len(every) - SHOWN} more"] if len(every) > SHOWN else []
        lines += [f"  - {UNSURE}"] if UNSURE in parcel.message and not update.sure else []
    note = [] if known or UNKNOWN not in parcel.message else ["", UNKNOWN]
    packages = ", ".join(plain(path) for path in sorted(parcel.locks))
    whole = "\n".join(["Security updates:", "", *lines, *note, "", f"Locks: {packages}", "", FOOTER, ""])
    return whole if len(whole.encode()) <= LIMIT else f"{whole.encode()[: LIMIT - 100].decode(errors='ignore')}\n..."
