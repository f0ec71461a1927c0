"""Whether one candidate (a branch's commit, or a release tag) may deploy: the policy's questions, asked in order.

In: the clone, the deployed revision with its policy, the trust, and the candidate with its objects. Out: who signed,
and the objects that prove it. Rules: `sign` says which objects must be signed; `threshold` how many people signed tags;
`rules` who must have signed which paths. A merge's signer vouches for its whole difference to its first parent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pygit2

from gitops.errors import Reason, SourceError
from gitops.model import Entry, Policy, Revision, Sign
from gitops.source.clone.trees import GitTree
from gitops.source.trust.objects import Signed
from gitops.source.trust.rules import KEPT, changed_paths, check_rules, check_threshold
from gitops.source.trust.signatures import Trust, signed_commit, signer

MAX_CHAIN = 1000
"""Commits of one step with `every-commit`."""


@dataclass(frozen=True)
class Candidate:
    """What may deploy: a commit, and with release tags the tag's object and those that approve of it."""

    ref: str
    commit: str
    tag: Signed | None = None
    approvals: tuple[Signed, ...] = ()


@dataclass(frozen=True)
class Judge:
    """Knows the clone and whom to trust. `descends(new, old)` as in Git."""

    repository: pygit2.Repository
    trust: Trust
    descends: Callable[[str, str], bool]

    def signers(self, policy: Policy, candidate: Candidate, last: Revision | None) -> tuple[str, ...]:
        """Who signed, by name, in the order in which it was asked.

        Raises:
            SourceError: the policy is not met; `reason` names how.
        """
        if policy.sign is Sign.none:
            return ()
        names: list[str] = []
        if policy.sign in (Sign.head, Sign.both):
            names.append(signer(self._signed(candidate.commit), self.trust))
        if policy.sign in (Sign.tag, Sign.both):
            names += self._tags(policy, candidate)
        if policy.sign is Sign.every_commit:
            names += self._chain(policy, candidate, last)
        elif last and policy.rules:
            changed = changed_paths(self._entries(last.commit), self._entries(candidate.commit))
            check_rules(policy.rules, changed, names, f"{candidate.ref}@{candidate.commit[:12]}")
        return tuple(dict.fromkeys(names))

    def _tags(self, policy: Policy, candidate: Candidate) -> list[str]:
        if candidate.tag is None:
            hint = f"tag the commit; {KEPT}"
            raise SourceError(f"{candidate.ref} is no signed tag", hint=hint, reason=Reason.unsigned)
        names = [signer(candidate.tag, self.trust)]
        for tag in candidate.approvals if policy.threshold > 1 else ():
            try:
                names.append(signer(tag, self.trust))
            except SourceError:
                continue  # whoever may push tags must not be able to stop a release by a bad one
        check_threshold(policy, candidate.ref, names)
        return names

    def _chain(self, policy: Policy, candidate: Candidate, last: Revision | None) -> list[str]:
        names = []
        for commit in self._new_commits(candidate.commit, last):
            name = signer(self._signed(commit), self.trust)
            if last and policy.rules:
                parents = self._commit(commit).parent_ids
                before = self._entries(str(parents[0])) if parents else {}
                check_rules(policy.rules, changed_paths(before, self._entries(commit)), (name,), f"commit {commit}")
            names.append(name)
        self._check_way_in(policy, candidate, last, names)
        return names

    def _check_way_in(self, policy: Policy, candidate: Candidate, last: Revision | None, names: list[str]) -> None:
        """A chain that does not lead back to what is deployed takes it in by a merge's other parent: whoever signed
        that merge answers for all that becomes different from what is deployed, too."""
        commits = self._new_commits(candidate.commit, last)
        if last is None or not policy.rules or last.commit in self._first_parent(commits[-1]):
            return
        joining = [index for index, commit in enumerate(commits) if self.descends(commit, last.commit)][-1:]
        for index in joining:
            changed = changed_paths(self._entries(last.commit), self._entries(commits[index]))
            check_rules(policy.rules, changed, names[index : index + 1], f"commit {commits[index]}")

    def _first_parent(self, commit: str) -> list[str]:
        return [commit, *(str(parent) for parent in self._commit(commit).parent_ids[:1])]

    def _new_commits(self, commit: str, last: Revision | None) -> list[str]:
        """The first-parent chain, newest first, down to what is deployed already (before that: the head alone)."""
        if last is None:
            return [commit]
        found, at = [], commit
        while at != last.commit and not self.descends(last.commit, at):
            found.append(at)
            if len(found) > MAX_CHAIN:
                hint = f"deploy more often, or sign a merge; {KEPT}"
                raise SourceError(f"more than {MAX_CHAIN} commits at once", hint=hint, reason=Reason.too_many)
            parents = self._commit(at).parent_ids
            if not parents:
                break
            at = str(parents[0])
        return found or [commit]

    def _commit(self, commit: str) -> pygit2.Commit:
        return self.repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)

    def _signed(self, commit: str) -> Signed:
        return signed_commit(self._commit(commit))

    def _entries(self, commit: str) -> Mapping[str, Entry]:
        return GitTree(self.repository, commit).entries()
