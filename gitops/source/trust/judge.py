"""Whether a named commit may follow what is deployed: its date, its files, its history, its policy, its signatures.

In: the clone, what was deployed last, the settings' first keys and epoch, and the named commit. Out: the `Revision`,
with who signed it. Rules: the policy and keys that judge are those of the last deployed commit; before there is one,
the settings name the first keys; a higher epoch lets another history in, never an unsigned head, and keeps the
rules: it says where history may start, not who may sign.

    Judge(clone, memory.last(), FirstKeys(path), 0, memory.keep).accept(NamedCommit("main", commit))
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from gitops.errors import STAYS, Reason, SourceError, TowerosError
from gitops.fleet import key_mistakes, load_policy
from gitops.fleet.keys.enough import nobody_for, too_few
from gitops.fleet.keys.files import ALLOWED, OPENPGP, REVOKED
from gitops.model import BlobRef, Policy, Revision, Sign, Tree
from gitops.source.clone.commits import Clone
from gitops.source.trust.deployed import Deployed
from gitops.source.trust.objects import Signed
from gitops.source.trust.rules import accept, check_rollback, judging, only_removes, policy_state
from gitops.source.trust.signatures import FirstKeys, Trust
from gitops.source.trust.signers import NamedCommit, Signers, signed_commit

MAX_TOLD = 20
"""Mistakes in keys/ that a refusal names."""
AHEAD = 86400
"""Seconds that a commit's date may be ahead of our clock: boxes without a clock believe it."""


@dataclass(frozen=True)
class Judge:
    """Judges any number of commits against one deployed revision. `keep` keeps the objects that prove a verdict."""

    clone: Clone
    deployed: Deployed | None
    first: FirstKeys
    epoch: int
    keep: Callable[[Iterable[Signed]], tuple[BlobRef, ...]]
    heard: list[TowerosError] = field(default_factory=list)
    """Refusals that stopped nothing: approvals that did not count."""

    def accept(self, named: NamedCommit) -> Revision:
        """The named commit as a revision; what is deployed already is not judged again.

        Raises:
            SourceError, FleetError: it may not deploy.
        """
        last = self.deployed.revision if self.deployed else None
        revision = self.clone.describe(named.ref, named.commit, self._sequence(named.commit))
        revision = replace(revision, tagged=bool(named.tag))
        if last and (last.commit, last.ref) == (revision.commit, revision.ref):
            return replace(revision, signers=last.signers, evidence=last.evidence)
        if revision.time > time.time() + AHEAD:
            hint = f"set the clock, and commit again; {STAYS}"
            again = revision.time - AHEAD
            raise SourceError(f"{revision} is dated in the future", hint=hint, reason=Reason.future_date, again=again)
        if revision.time < 0:  # archives, file systems and firmware have no such date
            hint = f"set the clock, and commit again; {STAYS}"
            raise SourceError(f"{revision} is dated before 1970", hint=hint, reason=Reason.bad_object)
        self._ask_first(named)
        tree = self.clone.files(named.commit)
        new = load_policy(tree)
        self._check_history(revision, new, tree)
        head = signed_commit(self.clone, named.commit)  # never two signatures, whoever is asked for one
        judged = judging(self.deployed.policy if self.deployed else None, new, first_signers=self.first.named)
        vouched = Signers(self.clone, self._trust(new, tree)).of(judged, named, last)
        self._check_lockout(new, tree)
        self.heard.extend(vouched.refused)
        evidence = self.keep([head, *([named.tag] if named.tag else []), *vouched.approvals])
        return replace(revision, signers=vouched.names, evidence=evidence)

    def _ask_first(self, named: NamedCommit) -> None:
        """Among many tags, those that nobody signed must cost little: no files are read for them."""
        if named.tag and self.deployed and self.deployed.policy.sign is not Sign.none:
            Signers(self.clone, self._trust(self.deployed.policy, None)).first(self.deployed.policy, named)

    @property
    def _raised(self) -> bool:
        """Whoever runs the controller accepts another history, knowingly."""
        return self.deployed is not None and self.epoch > self.deployed.epoch

    def _check_history(self, revision: Revision, new: Policy, tree: Tree) -> None:
        if self.deployed is None:
            return
        last = self.deployed.revision
        descends = self.clone.descends(revision.commit, last.commit)
        related = descends or self.clone.related(revision.commit, last.commit)
        accept(last, revision, descends=descends, raised=self._raised, related=related)
        if not self._raised:
            state, removes = policy_state(new, tree.entries()), self._only_removes(self.deployed, new, tree)
            check_rollback(self.deployed.policy, state, self.deployed.states, removes=removes)

    def _only_removes(self, deployed: Deployed, new: Policy, tree: Tree) -> bool:
        """Whether a state of trust is the deployed one, which the history has, without some people: taking somebody
        out brings nothing back, also where the list is then what it was before they came."""
        before = self.clone.files(deployed.revision.commit)
        old, now = Trust.of_tree(before), Trust.of_tree(tree)
        gone = old.names() - now.names()
        fewer = now.within(old) and _other_keys(tree) <= _other_keys(before)
        return fewer and only_removes(deployed.policy, new, gone)

    def _check_lockout(self, new: Policy, tree: Tree) -> None:
        """Where keys or policy change, enough of the listed people could sign the next commit, today.

        Raises:
            SourceError: they could not.
        """
        state = policy_state(new, tree.entries())
        if new.sign is Sign.none or (self.deployed and self.deployed.states[-1:] == (state,)):
            return
        said = [str(problem) for problem in key_mistakes(tree)[:MAX_TOLD]]
        trust = Trust.of_tree(tree).or_else(self.first.trust())
        if not said:
            proof = trust.prove()
            limited = {name for limit in new.limits for name in limit.signers}
            said = [too_few(new.threshold, limited, proof, trust.people())]
            nobody = nobody_for([rule.signers for rule in new.rules], proof)
            said += [f"none of {', '.join(signers)} could sign today" for signers in nobody if signers]
        if any(said):
            message = f"the next commit could not be signed by enough of {trust.place}: {'; '.join(filter(None, said))}"
            hint = f"put that right in the same commit; {STAYS}"
            coming = [line.after for line in trust.lines() if line.after is not None and line.after > time.time()]
            again = min(coming, default=None)
            raise SourceError(message, hint=hint, reason=Reason.locked_out, again=again)

    def _sequence(self, commit: str) -> int:
        """Ancestors of a commit, itself included; counted on from the last deployed one where that is an ancestor."""
        last = self.deployed
        if last is None or not self.clone.descends(commit, last.revision.commit):
            return self.clone.count(commit) + self.epoch
        return self.clone.count(commit, last.revision.commit) + last.revision.sequence - last.epoch + self.epoch

    def _trust(self, new: Policy, tree: Tree | None) -> Trust:
        """The keys of the deployed commit; those of the settings where it has none, or where nothing is deployed.

        Where nobody had to sign so far, the commit that asks for signatures brings the first keys along.
        """
        first, deployed = self.first.trust(), self.deployed
        if deployed is None:
            return first
        if not self.clone.has(deployed.revision.commit):
            return first  # another history was accepted knowingly, and the clone was lost
        ours = Trust.of_tree(self.clone.files(deployed.revision.commit)).or_else(first)
        if self._raised:
            return ours.readable().joined(first)  # the way back in when keys/ locks everybody out
        turning_on = deployed.policy.sign is Sign.none and new.sign is not Sign.none
        return Trust.of_tree(tree) if tree and turning_on and not ours else ours


def _other_keys(tree: Tree) -> set[tuple[str, str]]:
    """Files of `keys/` that are no lists of people, with their content: packages' and images' keys."""
    people = (ALLOWED, REVOKED)
    ours = ((path, entry.id) for path, entry in tree.entries().items() if path.startswith("keys/"))
    return {(path, id_) for path, id_ in ours if path not in people and not path.startswith(OPENPGP)}
