"""The fleet repo: any remote, fetched into a bare clone, one accepted commit at a time.

In: where the remote is, and what was deployed last. Out: the `Revision` that may deploy next, and its files (`Tree`).

    source = GitSource(Access(url), state / "source", allowed_signers=path)
    revision = source.poll()              # asks the remote; SourceError when it is away or lies
    tree = source.tree(revision)
    source.mark_deployed(revision)        # from here on, only descendants are accepted

Rules: the policy (branch or tags, signatures) and the keys are those of the last deployed commit; before there is one,
the remote's HEAD says which `fleet.yaml` to read, and the settings name the first keys. A remote that says nothing new
costs one question for its refs. The last deployed commit stays under refs/toweros/deployed whatever the remote does. A
damaged clone is made again; a half fetch harms nothing. Of several release tags the highest that verifies is taken;
those above it that do not are in `alarms`.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import pygit2
import structlog
from pygit2.enums import SortMode

from gitops.errors import FleetError, Reason, SourceError, TowerosError
from gitops.fleet import load_policy
from gitops.model import BlobRef, Policy, Revision, Sign, sha256
from gitops.source.clone.bare import DAMAGE, DEPLOYED, open_clone, rebuild
from gitops.source.clone.remote import Access, Heads, download, list_heads, unreachable
from gitops.source.clone.trees import GitTree
from gitops.source.trust import releases
from gitops.source.trust.deployed import Deployed
from gitops.source.trust.judge import Candidate, Judge
from gitops.source.trust.objects import Signed, loose, read
from gitops.source.trust.rules import KEPT, accept, check_rollback, judging, policy_state
from gitops.source.trust.signatures import Trust, signed_commit

log = structlog.get_logger(__name__)

MAX_PACKS = 100
"""Every fetch leaves a pack, and libgit2 never joins them: above this the clone is made again."""
MAX_OBJECT = 1 << 20
"""Bytes of a commit or tag object: reading a larger one would cost many times that in memory."""
VERDICT_HOLDS = 600
"""Seconds until the same question is asked again: keys become valid, and clocks are set right."""
AHEAD = 86400
"""Seconds that a commit's date may be ahead of our clock: boxes without a clock believe it."""
SUBJECT = 200
"""Characters of a commit's first line that are kept."""


@dataclass(frozen=True)
class _Outcome:
    """What the last new commit came to, so that the next poll need not ask again."""

    question: tuple[object, ...]
    revision: Revision | None = None
    refusal: TowerosError | None = None
    alarms: tuple[TowerosError, ...] = ()


class GitSource:
    """A fleet repo, followed. One per state folder; the store's lock keeps a second controller away."""

    def __init__(
        self,
        access: Access,
        folder: Path,
        *,
        allowed_signers: Path | None = None,
        openpgp_keys: Path | None = None,
        epoch: int = 0,
    ) -> None:
        access.check()
        folder.mkdir(parents=True, exist_ok=True)
        access.home(folder / "home")
        self._access, self._folder, self._epoch = access, folder, epoch
        self._first = (allowed_signers, openpgp_keys)
        self._repository = open_clone(folder)
        self._outcome: _Outcome | None = None
        self._damaged = False

    @property
    def alarms(self) -> tuple[TowerosError, ...]:
        """Release tags above the one that the last poll took, and why they may not deploy."""
        return self._outcome.alarms if self._outcome else ()

    def poll(self) -> Revision:
        """Ask the remote, and fetch and judge what it has now.

        Raises:
            SourceError: the remote is away (`transient`) or empty, or its commit may not deploy (`reason`).
            FleetError: its fleet.yaml has mistakes.
        """
        heads = list_heads(self._repository, self._access)
        try:
            if self._damaged or self._packs() > MAX_PACKS:
                self._rebuild()
            return self._follow(heads)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno:  # libgit2's own come without a number
                raise
            heads = list_heads(self._repository, self._access)
            log.warning("source.damaged", error=str(error))
            self._rebuild()
        try:
            return self._follow(heads)
        except DAMAGE as error:
            raise unreachable(self._access, error) from error

    def deployed(self) -> Revision | None:
        """The last deployed revision, remembered outside of the clone."""
        known = self._known()
        return known.revision if known else None

    def mark_deployed(self, revision: Revision) -> None:
        """Remember that boxes are offered this revision: nothing older and no other history is accepted from now on."""
        known = self._known()
        if known and (known.revision, known.epoch) == (revision, self._epoch):
            return
        tree = self.tree(revision)
        policy = load_policy(tree)
        tag = self._repository.references.get(f"refs/tags/{revision.ref}") if revision.tagged else None
        state = policy_state(policy, tree.entries())
        before = replace(known, epoch=self._epoch) if known else Deployed(revision, self._epoch, policy)
        self._repository.references.create(DEPLOYED, pygit2.Oid(hex=revision.commit), force=True)
        before.after(revision, policy, state, str(tag.target) if tag else "").save(self._folder / "deployed.json")
        kept = {ref.sha256 for ref in revision.evidence}
        for file in self._evidence().iterdir():
            if file.name not in kept:
                file.unlink()

    def tree(self, revision: Revision) -> GitTree:
        """The revision's files.

        Raises:
            SourceError: they break a bound, or the clone is damaged (the next poll makes it again).
        """
        try:
            return GitTree(self._repository, revision.commit, self._report_damage)
        except DAMAGE as error:
            self._report_damage()
            raise SourceError(
                f"{revision}: the clone is damaged", hint="it is fetched again at the next pass"
            ) from error

    def evidence(self, revision: Revision) -> list[bytes]:
        """The Git objects (in loose form) that `revision.evidence` names, as far as they are still here."""
        files = (self._evidence() / ref.sha256 for ref in revision.evidence)
        return [file.read_bytes() for file in files if file.is_file()]

    # --- one question, one answer ---------------------------------------------------------------------------------

    def _follow(self, heads: Heads) -> Revision:
        known = self._known()
        refs = self._refs(known.policy, heads) if known else (heads,)
        question = (refs, self._stamp(), known and known.revision.commit, int(time.time()) // VERDICT_HOLDS)
        if self._outcome is None or self._outcome.question != question:
            self._outcome = self._judge(question, heads, known)
        if self._outcome.refusal:
            raise self._outcome.refusal
        assert self._outcome.revision
        return self._outcome.revision

    def _refs(self, policy: Policy, heads: Heads) -> tuple[object, ...]:
        """What of the remote the answer hangs on."""
        if policy.tags:
            return tuple(sorted(heads.tags.items()))
        return (policy.branch, _head(heads, policy.branch))

    def _judge(self, question: tuple[object, ...], heads: Heads, known: Deployed | None) -> _Outcome:
        alarms: list[TowerosError] = []
        ref = ""
        try:
            policy = known.policy if known else self._first_policy(heads)
            for ref in self._names(policy, heads, known):
                try:
                    revision = self._examine(policy, ref, heads, known)
                except TowerosError as refusal:
                    if not _is_verdict(refusal) or not policy.tags:
                        raise
                    alarms.append(refusal)
                    log.warning("source.not_verified", ref=ref, error=refusal.message)
                    continue
                if alarms and known and revision.commit == known.revision.commit:
                    break
                log.info("source.accepted", revision=str(revision), signers=revision.signers)
                return _Outcome(question, revision=revision, alarms=tuple(alarms))
            raise alarms[0]
        except TowerosError as refusal:
            if not _is_verdict(refusal):
                raise
            log.warning("source.refused", ref=ref, reason=refusal.reason or "", error=refusal.message)
            return _Outcome(question, refusal=refusal)

    def _first_policy(self, heads: Heads) -> Policy:
        """Nothing was deployed yet: HEAD's fleet.yaml says what to follow."""
        commit = _head(heads, heads.default)
        self._fetch(f"refs/heads/{heads.default}", f"refs/remotes/origin/{heads.default}", commit)
        policy = self._load_policy(commit)
        return policy if policy.tags or policy.branch in heads.branches else replace(policy, branch=heads.default)

    def _names(self, policy: Policy, heads: Heads, known: Deployed | None) -> list[str]:
        if not policy.tags:
            return [policy.branch]
        releases.check_moved(heads.tags, known.tags if known else {})
        return releases.candidates(heads.tags, policy.tags, known.revision if known else None, heads.peeled)

    def _examine(self, policy: Policy, ref: str, heads: Heads, known: Deployed | None) -> Revision:
        """Fetch and judge one candidate.

        Raises:
            TowerosError: it may not deploy.
        """
        last = known.revision if known else None
        found = self._tagged(policy, ref, heads) if policy.tags else self._head(ref, heads)
        revision = replace(self._revision(found, last), tagged=bool(found.tag))
        if last and (last.commit, last.ref) == (revision.commit, ref):
            return replace(revision, signers=last.signers, evidence=last.evidence)
        if revision.time > time.time() + AHEAD:
            hint = f"set the clock, and commit again; {KEPT}"
            raise SourceError(f"{revision} is dated in the future", hint=hint, reason=Reason.future_date)
        tree = GitTree(self._repository, found.commit, self._report_damage)
        new = load_policy(tree)
        raised = known is not None and self._epoch > known.epoch
        descends = last is None or self._descends(found.commit, last.commit)
        related = descends or last is None or self._related(found.commit, last.commit)
        accept(last, revision, descends=descends, raised=raised, related=related)
        if known and not raised:
            check_rollback(known.policy, policy_state(new, tree.entries()), known.states)
        judged = judging(known.policy if known else None, new, first_signers=any(self._first))
        signed_commit(self._commit(found.commit))  # never two signatures, whoever is asked for one
        judge = Judge(self._repository, self._trust(known, new, tree), self._descends)
        signers = judge.signers(judged, found, last if descends else None)
        return replace(revision, signers=signers, evidence=self._keep(found))

    def _trust(self, known: Deployed | None, new: Policy, tree: GitTree) -> Trust:
        """The keys of the deployed commit; those of the settings where it has none, or where nothing is deployed.

        Where nobody had to sign so far, the commit that asks for signatures brings the first keys along.
        """
        first = Trust.of_files(*self._first)
        if known is None:
            return first
        if pygit2.Oid(hex=known.revision.commit) not in self._repository:
            return first  # another history was accepted knowingly, and the clone was lost
        ours = Trust.of_tree(GitTree(self._repository, known.revision.commit, self._report_damage)).or_else(first)
        turning_on = known.policy.sign is Sign.none and new.sign is not Sign.none
        if self._epoch > known.epoch:
            return ours.joined(first)  # the way back in when keys/ locks everybody out
        return Trust.of_tree(tree) if turning_on and not ours else ours

    def _stamp(self) -> object:
        """Changes when the settings' first keys do: a refused commit then deserves another look."""
        files = [path for place in self._first if place for path in ([place] if place.is_file() else place.glob("*"))]
        return tuple(sorted((str(path), path.stat().st_mtime_ns) for path in files))

    # --- facts of the clone ---------------------------------------------------------------------------------------

    def _head(self, branch: str, heads: Heads) -> Candidate:
        commit = _head(heads, branch)
        self._fetch(f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", commit)
        return Candidate(branch, commit)

    def _tagged(self, policy: Policy, name: str, heads: Heads) -> Candidate:
        tag = self._tag(name, heads)
        commit = releases.check_tag(name, tag)
        others = releases.approvals(heads.peeled, name, commit) if policy.threshold > 1 else []
        approvals = []
        for other in others:
            try:
                approved = self._tag(other, heads)
                if releases.check_tag(other, approved) == commit:
                    approvals.append(approved)
            except SourceError as refusal:
                if refusal.transient:
                    raise
                log.warning("source.approval", tag=other, error=refusal.message)
        return Candidate(name, commit, tag, tuple(approvals))

    def _tag(self, name: str, heads: Heads) -> Signed:
        self._fetch(f"refs/tags/{name}", f"refs/tags/{name}", heads.tags[name])
        try:
            found = self._repository[pygit2.Oid(hex=heads.tags[name])]
        except (pygit2.GitError, ValueError) as error:
            raise SourceError(f"tag {name!r} is garbled: {error}", hint=KEPT, reason=Reason.bad_object) from error
        if isinstance(found, pygit2.Commit):
            hint = f"make an annotated one: git tag -s {name}; {KEPT}"
            raise SourceError(f"tag {name!r} is a lightweight tag", hint=hint, reason=Reason.lightweight_tag)
        if not isinstance(found, pygit2.Tag):
            raise SourceError(
                f"tag {name!r} names no commit", hint=f"tag a commit; {KEPT}", reason=Reason.tag_of_no_commit
            )
        return read(loose("tag", found.read_raw()))

    def _keep(self, found: Candidate) -> tuple[BlobRef, ...]:
        """Keep the objects that were judged, for the release to carry along."""
        objects = [signed_commit(self._commit(found.commit)), *([found.tag] if found.tag else []), *found.approvals]
        refs = []
        for each in objects:
            refs.append(BlobRef(sha256(each.loose), len(each.loose)))
            (self._evidence() / refs[-1].sha256).write_bytes(each.loose)
        return tuple(refs)

    def _evidence(self) -> Path:
        folder = self._folder / "evidence"
        folder.mkdir(exist_ok=True)
        return folder

    def _fetch(self, ref: str, name: str, identity: str) -> None:
        known = self._repository.references.get(name)
        if known is None or str(known.target) != identity:
            download(self._repository, self._access, f"+{ref}:{name}")
        if self._repository.is_shallow:
            hint = f"serve a full clone; {KEPT}"
            raise SourceError("the remote's history is cut off", hint=hint, reason=Reason.shallow_history)
        size = self._repository.odb.read_header(pygit2.Oid(hex=identity))[1]
        if size > MAX_OBJECT:
            hint = f"at most {MAX_OBJECT >> 20} MiB; {KEPT}"
            raise SourceError(f"{ref} is an object of {size >> 20} MiB", hint=hint, reason=Reason.too_large)

    def _commit(self, commit: str) -> pygit2.Commit:
        return self._repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)

    def _revision(self, candidate: Candidate, last: Revision | None) -> Revision:
        found = self._commit(candidate.commit)
        line = found.raw_message.partition(b"\n")[0].decode(errors="replace")[:SUBJECT]
        subject = "".join(letter if letter.isprintable() else "?" for letter in line)
        sequence = self._count(candidate.commit, last) + self._epoch
        return Revision(candidate.ref, candidate.commit, sequence, found.commit_time, subject)

    def _count(self, commit: str, last: Revision | None) -> int:
        """Ancestors of a commit, itself included; counted on from the last deployed one where that is an ancestor."""
        known = self._known()
        walk = self._repository.walk(pygit2.Oid(hex=commit), SortMode.NONE)
        if last is None or known is None or not self._descends(commit, last.commit):
            return sum(1 for _ in walk)
        walk.hide(pygit2.Oid(hex=last.commit))
        return sum(1 for _ in walk) + last.sequence - known.epoch

    def _descends(self, commit: str, ancestor: str) -> bool:
        old, new = pygit2.Oid(hex=ancestor), pygit2.Oid(hex=commit)
        return old == new or (old in self._repository and self._repository.descendant_of(new, old))

    def _related(self, commit: str, other: str) -> bool:
        old, new = pygit2.Oid(hex=other), pygit2.Oid(hex=commit)
        return old not in self._repository or self._repository.merge_base(new, old) is not None

    def _load_policy(self, commit: str) -> Policy:
        return load_policy(GitTree(self._repository, commit, self._report_damage))

    def _known(self) -> Deployed | None:
        return Deployed.load(self._folder / "deployed.json")

    # --- the clone itself -----------------------------------------------------------------------------------------

    def _packs(self) -> int:
        return sum(1 for _ in (self._folder / "clone.git" / "objects" / "pack").glob("*.pack"))

    def _report_damage(self) -> None:
        self._damaged = True

    def _rebuild(self) -> None:
        self._repository, self._outcome, self._damaged = rebuild(self._folder, self._repository), None, False


def _is_verdict(refusal: TowerosError) -> bool:
    """Whether Git was judged; else a program hung or the remote was away, and the next poll asks again."""
    return isinstance(refusal, (SourceError, FleetError)) and not getattr(refusal, "transient", False)


def _head(heads: Heads, branch: str) -> str:
    """The commit of a branch.

    Raises:
        SourceError: the remote has none of this name.
    """
    if branch not in heads.branches:
        missing = f"has no branch {branch!r}" if branch else "has no branch that its HEAD names"
        raise SourceError(f"the remote {missing}", hint=f"push it; {KEPT}", reason=Reason.no_branch)
    return heads.branches[branch]
