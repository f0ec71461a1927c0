"""Who signed a named commit (a branch's commit, or a release tag): the policy's questions, asked in order.

In: the clone, the trust, a policy, and the named commit with its objects. Out: names. Rules: `sign` says which objects
must be signed; `threshold` how many people signed tags; `rules` who must have signed which paths; `limits` whose word
counts for some paths alone. A merge's signer vouches for its whole difference to its first parent.

    Signers(clone, trust).of(policy, NamedCommit("main", commit), last)     # ("ada",)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitops.errors import STAYS, Reason, SourceError
from gitops.model import Entry, Policy, Revision, Sign
from gitops.source.clone.commits import Clone
from gitops.source.trust.objects import Signed, loose, read
from gitops.source.trust.rules import changed_paths, check_limits, check_rules, check_threshold
from gitops.source.trust.signatures import Trust, signer

MAX_CHAIN = 1000
"""Commits of one step with `every-commit`."""


@dataclass(frozen=True)
class NamedCommit:
    """What may deploy: a commit, and with release tags the tag's object and those that approve of it."""

    ref: str
    commit: str
    tag: Signed | None = None
    approvals: tuple[Signed, ...] = ()


def signed_commit(clone: Clone, commit: str) -> Signed:
    """A commit, ready to be judged.

    Raises:
        SourceError: it has more than one signature.
    """
    return read(loose("commit", clone.raw(commit)))


@dataclass(frozen=True)
class Signers:
    """Knows the clone and whom to trust."""

    clone: Clone
    trust: Trust

    def of(self, policy: Policy, named: NamedCommit, last: Revision | None) -> tuple[str, ...]:
        """Who signed, by name, in the order in which it was asked. `last` is what is deployed.

        Raises:
            SourceError: the policy is not met; `reason` names how.
        """
        if policy.sign is Sign.none:
            return ()
        names: list[str] = []
        if policy.sign in (Sign.head, Sign.both):
            names.append(self._signer(named.commit))
        if policy.sign in (Sign.tag, Sign.both):
            names += self._tags(policy, named, last)
        if policy.sign is Sign.every_commit:
            names += self._chain(policy, named, last)
        else:
            self._check(policy, self._since(policy, last, named), names, f"{named.ref}@{named.commit[:12]}")
        return tuple(dict.fromkeys(names))

    def _since(self, policy: Policy, last: Revision | None, named: NamedCommit) -> set[str] | None:
        """The paths that became different from what is deployed; None: nothing is, or nobody asks."""
        if last is None or not (policy.rules or policy.limits):
            return None
        return changed_paths(self._entries(last.commit), self._entries(named.commit))

    def _check(self, policy: Policy, changed: set[str] | None, names: Iterable[str], what: str) -> None:
        """Rules and limits. With nothing to compare with, no rule holds yet, and every limit does."""
        signers = tuple(names)
        check_limits(policy.limits, changed, signers, what)
        if changed is not None:
            check_rules(policy.rules, changed, signers, what)

    def _signer(self, commit: str) -> str:
        return signer(signed_commit(self.clone, commit), self.trust)

    def _tags(self, policy: Policy, named: NamedCommit, last: Revision | None) -> list[str]:
        if named.tag is None:
            hint = f"tag the commit; {STAYS}"
            raise SourceError(f"{named.ref} is no signed tag", hint=hint, reason=Reason.unsigned)
        names = [signer(named.tag, self.trust)]
        for tag in named.approvals if policy.threshold > 1 else ():
            try:
                name = signer(tag, self.trust)
                check_limits(policy.limits, self._since(policy, last, named), (name,), named.ref)
                names.append(name)
            except SourceError:
                continue  # whoever may push tags must not be able to stop a release by a bad one
        check_threshold(policy, named.ref, names)
        return names

    def _chain(self, policy: Policy, named: NamedCommit, last: Revision | None) -> list[str]:
        commits = self._new_commits(named.commit, last)
        names = []
        for commit in commits:
            name = self._signer(commit)
            self._check(policy, self._own_changes(policy, commit) if last else None, (name,), f"commit {commit}")
            names.append(name)
        if last and (policy.rules or policy.limits):
            self._check_way_in(policy, last, commits, names)
        return names

    def _own_changes(self, policy: Policy, commit: str) -> set[str] | None:
        """What a commit changes against its first parent; None: nobody asks."""
        if not (policy.rules or policy.limits):
            return None
        parents = self.clone.parents(commit)
        return changed_paths(self._entries(parents[0]) if parents else {}, self._entries(commit))

    def _check_way_in(self, policy: Policy, last: Revision, commits: list[str], names: list[str]) -> None:
        """A chain that does not lead back to what is deployed takes it in by a merge's other parent: whoever signed
        that merge answers for all that becomes different from what is deployed, too."""
        oldest = commits[-1]
        if last.commit in (oldest, *self.clone.parents(oldest)[:1]):
            return
        joining = [index for index, commit in enumerate(commits) if self.clone.descends(commit, last.commit)][-1:]
        for index in joining:
            changed = changed_paths(self._entries(last.commit), self._entries(commits[index]))
            self._check(policy, changed, names[index : index + 1], f"commit {commits[index]}")

    def _new_commits(self, commit: str, last: Revision | None) -> list[str]:
        """The first-parent chain, newest first, down to what is deployed already (before that: the head alone)."""
        if last is None:
            return [commit]
        chain, at = list[str](), commit
        while at != last.commit and not self.clone.descends(last.commit, at):
            chain.append(at)
            if len(chain) > MAX_CHAIN:
                hint = f"deploy more often, or sign a merge; {STAYS}"
                raise SourceError(f"more than {MAX_CHAIN} commits at once", hint=hint, reason=Reason.too_many)
            parents = self.clone.parents(at)
            if not parents:
                break
            at = parents[0]
        return chain or [commit]

    def _entries(self, commit: str) -> Mapping[str, Entry]:
        return self.clone.files(commit).entries()
