"""What the remote has that may deploy next, the best first: a branch's commit, or release tags with their approvals.

In: the clone, the remote's heads, what was deployed last. Out: names, and each as a `NamedCommit`, fetched. Rules: the
policy says what to look at, and it is that of the last deployed commit; before there is one, the remote's HEAD says
which `fleet.yaml` to read. Only what is looked at is fetched.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from gitops.errors import STAYS, Reason, SourceError
from gitops.fleet import load_policy
from gitops.model import Policy
from gitops.source.clone.deploying import DeployingClone
from gitops.source.clone.remote import Heads
from gitops.source.trust import releases
from gitops.source.trust.deployed import Deployed
from gitops.source.trust.objects import Signed, loose, read_strictly
from gitops.source.trust.signers import NamedCommit
from gitops.source.versions import alarms, deployed_version, version


class NamedCommits:
    """The commits that the remote names now, as the policy asks for them."""

    def __init__(self, clone: DeployingClone, heads: Heads, deployed: Deployed | None) -> None:
        self._clone, self._heads, self._deployed = clone, heads, deployed

    def refs(self) -> tuple[object, ...]:
        """What of the remote the choice hangs on: while it stays, nothing need be asked again."""
        policy = self._deployed.policy if self._deployed else None
        if policy is None:
            return (self._heads,)
        if policy.tags:
            return tuple(sorted(self._heads.tags.items()))
        commit = self._heads.commit(policy.branch)
        approved = releases.approvals(self._heads.peeled, commit, commit) if policy.threshold > 1 else []
        return (policy.branch, commit, tuple((name, self._heads.tags[name]) for name in approved))

    def policy(self) -> Policy:
        """What says which refs to look at."""
        if self._deployed:
            return self._deployed.policy
        commit = self._clone.fetch_branch(self._heads.default, self._heads)
        with self._clone.blaming(self._heads.default, commit):
            policy = load_policy(self._clone.files(commit))
        # A new fleet repo may say `main` and call its only branch `master`.
        here = policy.tags or policy.branch in self._heads.branches
        return policy if here else replace(policy, branch=self._heads.default)

    def names(self, policy: Policy) -> list[str]:
        """Branch or tags; those that were moved after they were deployed are left out.

        Raises:
            SourceError: no tag may deploy.
        """
        if not policy.tags:
            return [policy.branch]
        last, moved = self._deployed, self.moved()
        names = {name: identity for name, identity in self._heads.tags.items() if name not in moved}
        try:
            return releases.eligible(names, policy.tags, last.revision if last else None, self._heads.peeled)
        except SourceError:
            if moved:
                raise next(iter(moved.values())) from None
            raise

    def moved(self) -> dict[str, SourceError]:
        """The release tags that were moved, and their refusals."""
        return releases.moved(self._heads.tags, self._deployed.tags if self._deployed else {})

    def prepare(self, names: Sequence[str]) -> None:
        """Fetch several tags at once, if that goes well."""
        self._clone.fetch_tags(names, self._heads)

    def blaming(self, policy: Policy, name: str) -> AbstractContextManager[None]:
        """What fails inside because one of the objects of `name` is malformed is a refusal of that object."""
        return self._clone.blaming(name, self._heads.tags[name] if policy.tags else self._heads.commit(name))

    def passed_over(self, policy: Policy, taken: str, refused: Collection[str]) -> list[SourceError]:
        """What to say of tags that lose against the one that is taken, without having been judged and refused."""
        if not policy.tags:
            return []
        numbers = {name: version(name) for name in self._heads.tags if releases.fits(name, policy.tags)}
        ours = deployed_version(taken)
        numbers = {name: number for name, number in numbers.items() if name != taken and name not in refused}
        others = {name: number for name, number in numbers.items() if number}
        twice = [name for name, number in others.items() if number == ours and self._end(name) != self._end(taken)]
        # Older releases are ancestors, so they are here; one that is not was tagged below what is deployed.
        lower = [
            name
            for name, number in others.items()
            if self._deployed and ours and number < ours and not self._here(name)
        ]
        nameless = [name for name, number in numbers.items() if number is None]
        return alarms(policy.tags, nameless, twice, lower)

    def _end(self, name: str) -> str:
        """What a tag leads to."""
        return self._heads.peeled.get(name, self._heads.tags[name])

    def _here(self, name: str) -> bool:
        return self._clone.has(self._end(name))

    def fetch(self, policy: Policy, name: str) -> NamedCommit:
        """One of them.

        Raises:
            SourceError: it is no annotated tag of a commit, or cannot be fetched.
        """
        if not policy.tags:
            commit = self._clone.fetch_branch(name, self._heads)
            return self._approved(policy, NamedCommit(name, commit))
        tag = self._tag(name)
        return self._approved(policy, NamedCommit(name, releases.check_tag(name, tag), tag))

    def earlier(self, policy: Policy, name: str, commit: str) -> NamedCommit | None:
        """A commit that a branch leads to, or the release of a tag; None: it is neither.

        Raises:
            SourceError: as `fetch`.
        """
        named = self.fetch(policy, name)
        if named.commit == commit:
            return named
        if policy.tags or not self._clone.descends(named.commit, commit):
            return None
        return self._approved(policy, NamedCommit(name, commit))

    def _tag(self, name: str) -> Signed:
        return read_strictly(loose("tag", self._clone.fetch_tag(name, self._heads)))

    def _approved(self, policy: Policy, named: NamedCommit) -> NamedCommit:
        """With the tags that approve of it."""
        if policy.threshold == 1:
            return named
        others = releases.approvals(self._heads.peeled, named.approved, named.commit)
        self.prepare(others)
        return replace(named, approvals=_Read(self._approval, others, named.commit))

    def _approval(self, name: str, commit: str) -> Signed | SourceError:
        """One approval of a commit, or why it is none."""
        try:
            tag = self._tag(name)
            if releases.check_tag(name, tag) != commit:  # the remote said otherwise
                return SourceError(f"tag {name!r} approves of another commit", hint=STAYS, reason=Reason.moved_tag)
        except SourceError as refusal:
            if refusal.transient:
                raise
            return refusal
        return tag


@dataclass(frozen=True)
class _Read:
    """Approvals, one at a time: thousands of them would not fit into memory together."""

    read: Callable[[str, str], Signed | SourceError]
    names: Sequence[str]
    commit: str

    def __iter__(self) -> Iterator[Signed | SourceError]:
        return (self.read(name, self.commit) for name in self.names)
