"""The fleet repo, followed: any remote, fetched into a bare clone, one accepted commit at a time.

In: where the remote is, and a memory of what was deployed last. Out: the `Revision` that may deploy next, and its files
(`Tree`).

    source = GitSource(Access(url), state / "source", StoredMemory(store), allowed_signers=path)
    revision = source.poll()              # asks the remote; SourceError when it is away or lies
    tree = source.tree(revision)
    source.mark_deployed(revision)        # from here on, only descendants are accepted

Rules: a remote that has nothing new costs one question for its refs. A damaged clone is made again. Of several release
tags the highest that verifies is taken; those above it that do not are in `alarms`. What to look at:
`named_commits`; what may deploy: `trust.judge`; what is remembered: `trust.deployed`, and where: `memory`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from gitops.errors import FleetError, Reason, SourceError, TowerosError
from gitops.fleet import load_policy
from gitops.model import Revision
from gitops.settings import Settings
from gitops.source.again import Moment
from gitops.source.clone.commits import DAMAGE
from gitops.source.clone.deploying import DeployingClone
from gitops.source.clone.remote import Access, Heads, unreachable
from gitops.source.clone.trees import GitTree
from gitops.source.named_commits import NamedCommits
from gitops.source.points import History
from gitops.source.trust.deployed import Deployed, Memory
from gitops.source.trust.judge import Judge
from gitops.source.trust.rules import policy_state
from gitops.source.trust.signatures import FirstKeys

log = structlog.get_logger(__name__)

OF_NOBODY = {
    Reason.unsigned,
    Reason.unknown_key,
    Reason.expired_key,
    Reason.revoked_key,
    Reason.wrong_principal,
    Reason.host_certificate,
    Reason.critical_option,
    Reason.weak_certificate,
    Reason.bad_signature,
    Reason.several_signatures,
    Reason.bad_object,
    Reason.renamed_tag,
    Reason.lightweight_tag,
    Reason.nested_tag,
    Reason.tag_of_no_commit,
    Reason.too_large,
}
"""What anybody who may push tags can cause, with a key that counts no more, too: such tags take no place away."""
MAX_TRIED = 20
"""So many other tags above the deployed one are judged in one pass."""
MAX_ALARMS = 20
TOGETHER = 100
"""Tags that are fetched at once."""


@dataclass(frozen=True)
class _Answer:
    """What the last question came to, so that the next poll need not ask it again."""

    question: tuple[object, ...]
    moment: Moment
    revision: Revision | None = None
    refusal: TowerosError | None = None
    alarms: tuple[TowerosError, ...] = ()


class GitSource:
    """A fleet repo, followed. One per folder; the store's lease keeps a second controller away."""

    def __init__(
        self,
        access: Access,
        folder: Path,
        memory: Memory,
        *,
        allowed_signers: Path | None = None,
        openpgp_keys: Path | None = None,
        epoch: int = 0,
    ) -> None:
        self._access, self._epoch = access, epoch
        self._first = FirstKeys(allowed_signers, openpgp_keys)
        self._clone = DeployingClone(access, folder)
        self._memory = memory
        self._answer: _Answer | None = None
        self._heads = Heads({}, "")

    @classmethod
    def of(cls, settings: Settings, folder: Path, memory: Memory) -> "GitSource":
        """The one that the settings name, in a clone below `folder`."""
        return cls(
            Access.of(settings),
            folder,
            memory,
            allowed_signers=settings.allowed_signers,
            openpgp_keys=settings.openpgp_keys,
            epoch=settings.epoch,
        )

    @property
    def alarms(self) -> tuple[TowerosError, ...]:
        """Release tags above the one that the last poll took, and why they may not deploy."""
        return self._answer.alarms if self._answer else ()

    def poll(self) -> Revision:
        """Ask the remote, and fetch and judge what it has now.

        Raises:
            SourceError: the remote is away (`transient`) or empty, or its commit may not deploy (`reason`).
            FleetError: its fleet.yaml has mistakes.
        """
        heads = self._heads = self._clone.heads()
        try:
            if self._clone.worn:
                self._rebuild()
            return self._follow(heads)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:  # libgit2's own come without a number
                raise
            heads = self._clone.heads()
            log.warning("source.damaged", error=self._access.clean(str(error)))
            self._rebuild()
        try:
            return self._follow(heads)
        except DAMAGE as error:
            raise unreachable(self._access, error) from error

    def deployed(self) -> Revision | None:
        """The last deployed revision, remembered outside of the clone."""
        last = self._memory.last()
        return last.revision if last else None

    def mark_deployed(self, revision: Revision) -> None:
        """Remember that boxes are offered this revision: nothing older and no other history is accepted from now on.

        Raises:
            LeaseError: another controller has taken over.
        """
        last = self._memory.last()
        with self._whole(revision):
            self._clone.pin(revision.commit)
        if last and (last.revision, last.epoch) == (revision, self._epoch):
            return
        tree = self.tree(revision)
        policy = load_policy(tree)
        before = replace(last, epoch=self._epoch) if last else Deployed(revision, self._epoch, policy)
        tag = self._clone.tag_id(revision.ref) if revision.tagged else ""
        self._memory.save(before.after(revision, policy, policy_state(policy, tree.entries()), tag))

    def holds(self, commit: str, other: str) -> bool:
        """Whether `other` is in the history of a commit that was accepted, or is it."""
        return commit == other or self._clone.descends(commit, other)

    def history(self, revision: Revision) -> History:
        """What pins and floors of an accepted revision may name."""
        return History(self._clone, self._heads, self._first, revision)

    def tree(self, revision: Revision) -> GitTree:
        """The revision's files.

        Raises:
            SourceError: they break a bound, or the clone is damaged (the next poll makes it again).
        """
        with self._whole(revision):
            return self._clone.files(revision.commit)

    @contextmanager
    def _whole(self, revision: Revision) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            self._clone.report_damage()
            hint = "it is fetched again at the next pass"
            raise SourceError(f"{revision}: the clone is damaged", hint=hint) from error

    def _rebuild(self) -> None:
        self._clone.rebuild()
        self._answer = None

    def _follow(self, heads: Heads) -> Revision:
        """One question, one answer."""
        last = self._memory.last()
        commits = NamedCommits(self._clone, heads, last)
        commit = last.revision.commit if last else ""
        question = (commits.refs(), self._first.stamp(), commit)
        if self._answer is None or self._answer.question != question or self._answer.moment.over():
            judge = Judge(self._clone, last, self._first, self._epoch, self._memory.keep)
            self._answer = self._ask(question, commits, judge)
        if self._answer.refusal:
            raise self._answer.refusal
        assert self._answer.revision
        return self._answer.revision

    def _ask(self, question: tuple[object, ...], commits: NamedCommits, judge: Judge) -> _Answer:
        try:
            revision, alarms = self._choose(commits, judge)
        except TowerosError as refusal:
            if not _is_verdict(refusal):
                raise
            log.warning("source.refused", reason=refusal.reason or "", error=refusal.message)
            return _Answer(question, _moment([refusal]), refusal=refusal)
        log.info("source.accepted", revision=str(revision), signers=revision.signers)
        return _Answer(question, _moment(alarms), revision=revision, alarms=alarms)

    def _choose(self, commits: NamedCommits, judge: Judge) -> tuple[Revision, tuple[TowerosError, ...]]:
        """The best of them that may deploy, and the refusals of those above it.

        Raises:
            TowerosError: none of them may.
        """
        policy = commits.policy()
        names, tried = commits.names(policy), 0
        alarms: list[TowerosError] = [*commits.moved().values()] if policy.tags else []
        for index, ref in enumerate(names):
            if policy.tags and index % TOGETHER == 1:  # the best one is asked for alone
                commits.prepare(names[index : index + TOGETHER])
            try:
                with commits.blaming(policy, ref):
                    revision = judge.accept(commits.fetch(policy, ref))
            except TowerosError as refusal:
                if not _is_verdict(refusal) or not policy.tags:
                    raise
                alarms.append(refusal)
                if len(alarms) <= MAX_ALARMS:
                    log.warning("source.not_verified", ref=ref, error=refusal.message)
                tried += refusal.reason not in OF_NOBODY
                if tried == MAX_TRIED:
                    break
                continue
            alarms += judge.heard
            if not alarms or not judge.deployed or revision.commit != judge.deployed.revision.commit:
                passed = commits.passed_over(policy, ref, names[:index])
                return revision, (*_few(alarms), *passed)
        soonest = _soonest(alarms)
        if isinstance(alarms[0], SourceError) and soonest is not None:
            alarms[0].again = soonest
        raise alarms[0]  # nothing but what is deployed verifies


def _few(alarms: list[TowerosError]) -> tuple[TowerosError, ...]:
    """The first ones, and how many more there are."""
    more = len(alarms) - MAX_ALARMS
    last = [SourceError(f"{more} more tags are refused", hint="ask who pushed them")] if more > 0 else []
    return (*alarms[:MAX_ALARMS], *last)


def _soonest(refusals: Iterable[TowerosError]) -> float | None:
    """When time ends the first of them."""
    ends = (refusal.again for refusal in refusals if isinstance(refusal, SourceError))
    return min((end for end in ends if end is not None), default=None)


def _moment(refusals: Iterable[TowerosError]) -> Moment:
    """Now, until time ends one of these."""
    return Moment.now(refusal.again for refusal in refusals if isinstance(refusal, SourceError))


def _is_verdict(refusal: TowerosError) -> bool:
    """Whether Git was judged; else a program hung or the remote was away, and the next poll asks again."""
    return isinstance(refusal, FleetError) or (isinstance(refusal, SourceError) and not refusal.transient)
