"""Who signed a named commit (a branch's commit, or a release tag): the policy's questions, asked in order.

In: the clone, the trust, a policy, and the named commit with its objects. Out: names, and the objects that prove them.
Rules: `sign` says which objects must be signed; `threshold` how many people signed what deploys; `rules` who must have
signed which paths, commit by commit and once more for the whole step from what is deployed; `limits` whose word counts
for some paths alone. A merge's signer vouches for its whole difference to its first parent.

    Signers(clone, trust).of(policy, NamedCommit("main", commit), last).names     # ("ada",)
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from gitops.errors import STAYS, Reason, SourceError
from gitops.fleet.keys.listed import one_person
from gitops.model import Entry, Policy, Revision, Sign
from gitops.source.clone.commits import Clone
from gitops.source.trust.approvals import Worth
from gitops.source.trust.objects import Signed, loose, read_strictly
from gitops.source.trust.rules import changed_paths, check_limits, check_rules, check_threshold
from gitops.source.trust.signatures import Trust, mark, names

MAX_CHAIN = 1000
"""Commits of one step with `every-commit`."""


@dataclass(frozen=True)
class NamedCommit:
    """What may deploy: a commit, and with release tags the tag's object; and the tags that approve of it."""

    ref: str
    commit: str
    tag: Signed | None = None
    approvals: Iterable[Signed | SourceError] = ()
    """As they are read; or why one cannot be."""

    @property
    def approved(self) -> str:
        """What approvals name: the release, or the commit."""
        return self.ref if self.tag else self.commit


def signed_commit(clone: Clone, commit: str) -> Signed:
    """A commit, ready to be judged.

    Raises:
        SourceError: it has more than one signature, or is none that Git writes.
    """
    return read_strictly(loose("commit", clone.raw(commit)))


@dataclass(frozen=True)
class Vouched:
    """Who signed, by name, in the order in which it was asked; the approvals that counted; and why others did not."""

    names: tuple[str, ...] = ()
    approvals: tuple[Signed, ...] = ()
    refused: tuple[SourceError, ...] = ()


@dataclass(frozen=True)
class Signers:
    """Knows the clone and whom to trust."""

    clone: Clone
    trust: Trust

    def first(self, policy: Policy, named: NamedCommit) -> None:
        """Whether anybody who is listed signed it at all: cheap, and asked before its files are looked at.

        Raises:
            SourceError: nobody did.
        """
        tagged = policy.sign in (Sign.tag, Sign.both) and named.tag
        names(named.tag if tagged and named.tag else signed_commit(self.clone, named.commit), self.trust)

    def of(self, policy: Policy, named: NamedCommit, last: Revision | None) -> Vouched:
        """Who signed. `last` is what is deployed, whose history need not be that of the named commit.

        Raises:
            SourceError: the policy is not met; `reason` names how.
        """
        return _Question(self.clone, self.trust, policy, named, last).answer()


Names = tuple[str, ...]
"""All names of one signer; the first is how they are called."""


@dataclass(frozen=True)
class _People:
    """Who of those that signed are one person: as the list says, and by what their signatures have in common."""

    listed: Sequence[Names]
    signed: list[Names] = field(default_factory=list)
    """Of each signature its names and its key's mark."""

    def add(self, signed: Signed, names: Names) -> None:
        self.signed.append((*names, *([key] if (key := mark(signed)) else [])))

    def known(self) -> Mapping[str, str]:
        """The person of each name."""
        return one_person([*self.listed, *self.signed])


@dataclass(frozen=True)
class _Question:
    """One named commit before one policy."""

    clone: Clone
    trust: Trust
    policy: Policy
    named: NamedCommit
    last: Revision | None

    def answer(self) -> Vouched:
        if self.policy.sign is Sign.none:
            return Vouched()
        head: list[Names] = []
        if self.policy.sign in (Sign.head, Sign.both):
            head = [self._names(self.named.commit)]
        if self.policy.sign is Sign.every_commit:
            head = self._chain()
        tag = self._tag()
        # What is deployed is answered for as a whole; of a chain's signers each has answered for their own commit.
        limited = tag if self.policy.sign is Sign.every_commit else [*head, *tag]
        what = f"{self.named.ref}@{self.named.commit[:12]}"
        approvals, refused = self._approvals([*self._answering(head), *tag])
        all_ = [*head, *tag, *(names for _, names in approvals)]
        told = self._limited(name for names in limited for name in names)
        check_limits(self.policy.limits, self._step, told, what)
        self._check_rules(self._step, [name for names in all_ for name in names], what)
        first = tuple(dict.fromkeys(names[0] for names in all_))
        return Vouched(first, tuple(signed for signed, _ in approvals), tuple(refused))

    def _answering(self, head: list[Names]) -> list[Names]:
        """The head's signer, as one of the people that a threshold asks for: unless their limits leave out what others
        have changed below."""
        with suppress(SourceError):
            if head and self.policy.sign is Sign.every_commit:
                check_limits(self.policy.limits, self._step, self._limited(head[0]), "")
            return head[:1]
        return []

    @cached_property
    def _step(self) -> set[str] | None:
        """The paths that become different from what is deployed; None: there is nothing to compare with."""
        if not (self.policy.rules or self.policy.limits):
            return set()
        if self.last is None or not self.clone.has(self.last.commit):
            return None
        return changed_paths(self._entries(self.last.commit), self._entries(self.named.commit))

    def _check_rules(self, changed: set[str] | None, names: Iterable[str], what: str) -> None:
        if self.last is not None:  # the first deployment is the settings' affair
            check_rules(self.policy.rules, changed, names, what)

    def _names(self, commit: str) -> Names:
        return self._ask(signed_commit(self.clone, commit))

    def _ask(self, signed: Signed) -> Names:
        who = names(signed, self.trust)
        if self.policy.threshold > 1:
            self._people.add(signed, who)
        if also := self.trust.also(signed):
            self._aliases.setdefault(who[0], set()).update(also)
        return who

    @cached_property
    def _people(self) -> _People:
        return _People(self.trust.groups())

    @cached_property
    def _aliases(self) -> dict[str, set[str]]:
        """Names under which the key of somebody's certificate is listed, too."""
        return {}

    def _limited(self, names: Iterable[str]) -> set[str]:
        """The names that limits are asked about: a certificate takes its key out of none."""
        said = set(names)
        return said.union(*(self._aliases.get(name, ()) for name in said))

    def _tag(self) -> list[Names]:
        """Who signed the release tag, where that is asked for."""
        asked = self.policy.sign in (Sign.tag, Sign.both)
        if self.named.tag is None and asked:
            hint = f"tag the commit; {STAYS}"
            raise SourceError(f"{self.named.ref} is no signed tag", hint=hint, reason=Reason.unsigned)
        asked = asked or self.policy.threshold > 1
        return [self._ask(self.named.tag)] if self.named.tag and asked else []

    def _approvals(self, so_far: list[Names]) -> tuple[list[tuple[Signed, Names]], list[SourceError]]:
        """The approvals that count, until there are enough of them.

        Raises:
            SourceError: there are not.
        """
        counted: list[tuple[Signed, Names]] = []
        refused = list[SourceError]()
        if self.policy.threshold > 1:
            signed = [names[0] for names in so_far]
            for tag in Worth(self.trust, refused).asking(self.named.approvals):
                people = self._people.known()
                if len({people.get(name, name) for name in signed}) >= self.policy.threshold:
                    break
                try:
                    who = self._ask(tag)
                    check_limits(self.policy.limits, self._step, self._limited(who), tag.name)
                except SourceError as error:
                    refused.append(error)  # whoever may push tags must not be able to stop a release by a bad one
                    continue
                counted.append((tag, who))
                signed.append(who[0])
            try:
                check_threshold(self.policy, self.named.approved, signed, self._people.known())
            except SourceError as error:
                error.again = min((each.again for each in refused if each.again is not None), default=None)
                raise
        return counted, refused

    def _chain(self) -> list[Names]:
        """Who signed each commit of the chain, each within their rules and limits."""
        signed = []
        for commit in self._new_commits():
            who = self._names(commit)
            changed = self._own_changes(commit)
            check_limits(self.policy.limits, changed, self._limited(who), f"commit {commit}")
            self._check_rules(changed, who, f"commit {commit}")
            signed.append(who)
        return signed

    def _own_changes(self, commit: str) -> set[str] | None:
        """What a commit changes against its first parent. Of a first deployment, and of a history that has nothing in
        common with what is deployed, the head answers for everything."""
        if not (self.policy.rules or self.policy.limits):
            return set()
        if self.last is None or not self._shared:
            return self._step
        parents = self.clone.parents(commit)
        return changed_paths(self._entries(parents[0]) if parents else {}, self._entries(commit))

    @cached_property
    def _shared(self) -> bool:
        """Whether the history has something in common with what is deployed."""
        last = self.last.commit if self.last else ""
        return bool(last) and self.clone.has(last) and self.clone.related(self.named.commit, last)

    def _new_commits(self) -> list[str]:
        """The first-parent chain, newest first, down to what is deployed already (before that: the head alone).

        Raises:
            SourceError: it is too long, or it leads past what is deployed: rules by path would not see what it undoes.
        """
        if self.last is None or not self._shared:
            return [self.named.commit]
        new = self.clone.since(self.named.commit, self.last.commit)
        chain, at = list[str](), self.named.commit
        while at in new:
            chain.append(at)
            if len(chain) > MAX_CHAIN:
                hint = f"deploy more often, or sign a merge; {STAYS}"
                raise SourceError(f"more than {MAX_CHAIN} commits at once", hint=hint, reason=Reason.too_many)
            at = next(iter(self.clone.parents(at)), "")
        if at != self.last.commit and self.clone.descends(self.named.commit, self.last.commit):
            raise SourceError(
                f"the first parents of {self.named.commit} lead past the deployed {self.last}",
                hint=f"merge the other way round: into the branch that is deployed; {STAYS}",
                reason=Reason.not_first_parent,
            )
        return chain or [self.named.commit]

    def _entries(self, commit: str) -> Mapping[str, Entry]:
        return self.clone.files(commit).entries()
