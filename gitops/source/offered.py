"""A commit that somebody else has deployed: would we have deployed it? The question of a second witness.

In: where the remote is, a folder, a memory, whom to believe first; a ref and a commit of it. Out: the `Revision`, as we
count and judge it. Rules: the remote must lead to it by that ref; each is judged by the policy and keys of the one that
was accepted before it, as a controller judges. The first one, and one that is older than that, by the first keys; where
they do not vouch for it, by the newest commit before it that they vouch for. What was accepted last needs no remote.

    Offered(Access(url), state / "source", StoredMemory(store), FirstKeys(path)).accept("main", commit)
"""

from contextlib import suppress
from pathlib import Path

from gitops.errors import FleetError, SourceError
from gitops.fleet import load_policy
from gitops.model import Policy, Revision, Tree
from gitops.source.clone.commits import DAMAGE
from gitops.source.clone.deploying import DeployingClone
from gitops.source.clone.remote import Access, unreachable
from gitops.source.named_commits import NamedCommits
from gitops.source.trust.deployed import Deployed, Memory
from gitops.source.trust.judge import Judge
from gitops.source.trust.releases import fits
from gitops.source.trust.rules import policy_state
from gitops.source.trust.signatures import FirstKeys
from gitops.source.trust.signers import NamedCommit

MAX_BACK = 300
"""Commits before the first one that are looked at."""
HINT = "the origin offers what the fleet repo does not: ask who deployed it, and trust neither until you know"


class Offered:
    """The fleet repo of a second witness. One per folder."""

    def __init__(self, access: Access, folder: Path, memory: Memory, first: FirstKeys) -> None:
        self._access, self._memory, self._first = access, memory, first
        self._clone = DeployingClone(access, folder)

    def accept(self, ref: str, commit: str) -> Revision:
        """The commit, as far as the policy believes it.

        Raises:
            SourceError: the remote is away (`transient`), or does not lead to it, or it may not deploy (`reason`).
            FleetError: its fleet.yaml has mistakes.
        """
        last = self._memory.last()
        if last and (last.revision.ref, last.revision.commit) == (ref, commit) and self._clone.has(commit):
            return last.revision
        try:
            return self._judge(ref, commit, last)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:
                raise
            self._clone.rebuild()
        try:
            return self._judge(ref, commit, last)
        except DAMAGE as error:
            raise unreachable(self._access, error) from error

    def tree(self, revision: Revision) -> Tree:
        """Its files.

        Raises:
            SourceError: they break a bound, or the clone is damaged.
        """
        try:
            return self._clone.files(revision.commit)
        except DAMAGE as error:
            self._clone.report_damage()
            raise SourceError(
                f"{revision}: the clone is damaged", hint="it is fetched again", transient=True
            ) from error

    def _judge(self, ref: str, commit: str, last: Deployed | None) -> Revision:
        if self._clone.worn:
            self._clone.rebuild()
        older = last is not None and self._clone.descends(last.revision.commit, commit)
        named = self._named(ref, commit, last)
        if last is not None and not older:
            revision = self._judged(named, last)
        else:
            revision = self._by_first_keys(named, older=older)
        if not older:
            self._remember(revision, last)
        return revision

    def _judged(self, named: NamedCommit, last: Deployed | None) -> Revision:
        return Judge(self._clone, last, self._first, 0, self._memory.keep).accept(named)

    def _by_first_keys(self, named: NamedCommit, *, older: bool) -> Revision:
        """Nothing that was accepted leads up to it. A key that the fleet repo took in later, or that may sign for some
        paths alone, vouches for a step and not for the whole: so the step is looked for."""
        try:
            return self._judged(named, None)
        except SourceError as error:
            if error.transient:
                raise
            if before := self._vouched(named):
                return self._judged(named, before)
            if not older:
                raise
            message = f"older than what was accepted here, and the first keys do not vouch for it: {error.message}"
            raise SourceError(message, hint=error.hint, transient=True) from error

    def _vouched(self, named: NamedCommit) -> Deployed | None:
        """The newest of its first parents that the first keys vouch for; without them nobody does."""
        parents, before = self._clone.parents(named.commit), None
        for _ in range(MAX_BACK if self._first.named else 0):
            if not parents or before:
                break
            with suppress(SourceError, FleetError):
                before = self._deployed(self._judged(NamedCommit(named.ref, parents[0]), None), None)
            parents = self._clone.parents(parents[0])
        return before

    def _named(self, ref: str, commit: str, last: Deployed | None) -> NamedCommit:
        """The commit with what vouches for it, if the remote leads to it."""
        heads = self._clone.heads()
        commits = NamedCommits(self._clone, heads, last)
        policy = commits.policy()
        if ref not in (heads.tags if policy.tags else heads.branches) or not _looked_at(policy, ref):
            raise SourceError(f"{ref!r} is nothing that may deploy from the fleet repo", hint=HINT)
        with commits.blaming(policy, ref):
            named = commits.earlier(policy, ref, commit)
        if named is None:
            raise SourceError(f"{ref} of the fleet repo does not lead to commit {commit}", hint=HINT)
        return named

    def _remember(self, revision: Revision, last: Deployed | None) -> None:
        self._clone.pin(revision.commit)
        self._memory.save(self._deployed(revision, last))

    def _deployed(self, revision: Revision, last: Deployed | None) -> Deployed:
        tree = self._clone.files(revision.commit)
        policy = load_policy(tree)
        before = last or Deployed(revision, 0, policy)
        tag = self._clone.tag_id(revision.ref) if revision.tagged else ""
        return before.after(revision, policy, policy_state(policy, tree.entries()), tag)


def _looked_at(policy: Policy, ref: str) -> bool:
    return fits(ref, policy.tags) if policy.tags else ref == policy.branch
