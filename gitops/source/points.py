"""What a pin or a floor names, as a commit of the history that was accepted.

In: the clone, the remote's heads as the last poll saw them, the accepted commit. Out: commits and their files. Rules:

- a commit is in the history of the accepted one: who signed that one has named it, and nothing newer, or of another
  history, comes in by a pin;
- a tag is read as a release tag is (annotated, of its own name, on a commit) and, where the policy asks anybody to
  sign, signed by somebody whose word counts for what it changes: whoever may only push tags moves no box;
- where nobody has to sign, a lightweight tag does, too.

    history = source.history(revision)
    history.commit("v1.2")          # SourceError: no such tag, not signed, or not in the history
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gitops.errors import Reason, SourceError
from gitops.fleet import load_policy
from gitops.model import Revision, Sign
from gitops.model.rollout.points import is_commit
from gitops.source.clone.commits import DAMAGE
from gitops.source.clone.deploying import DeployingClone
from gitops.source.clone.remote import Heads
from gitops.source.clone.trees import GitTree
from gitops.source.trust.objects import loose, read_strictly
from gitops.source.trust.releases import check_tag
from gitops.source.trust.signatures import FirstKeys, Trust
from gitops.source.trust.signers import NamedCommit, Signers

ELSEWHERE = "it must be in the history of what is deployed: name a tag or a commit of this branch"


@dataclass(frozen=True)
class History:
    """Of one accepted revision. `heads`: empty, where the remote was not asked."""

    clone: DeployingClone
    heads: Heads
    first: FirstKeys
    revision: Revision

    def commit(self, name: str) -> str:
        """Raises SourceError: it means none that counts."""
        try:
            found = name if is_commit(name) else self._tagged(name)
            if self.clone.has(found) and self.clone.descends(self.revision.commit, found):
                return found
        except DAMAGE as error:
            self.clone.report_damage()
            raise SourceError(f"{name} cannot be read: the clone is damaged", hint="the next pass mends it") from error
        raise SourceError(f"{name} is no commit before {self.revision.commit[:12]}", hint=ELSEWHERE)

    def holds(self, commit: str, other: str) -> bool:
        """Whether `other` is in the history of a commit, or is it. A commit that is not here has none."""
        return commit == other or (self.clone.has(commit) and self.clone.descends(commit, other))

    def sequence(self, commit: str) -> int:
        """What releases of it were numbered."""
        return self.revision.sequence - self.clone.count(self.revision.commit, commit)

    def at(self, commit: str, sequence: int) -> Revision:
        """An earlier commit, as what is released with a number of now."""
        return self.clone.describe(self.revision.ref, commit, sequence)

    def files(self, commit: str) -> GitTree:
        return self.clone.files(commit)

    def _tagged(self, name: str) -> str:
        tags: Mapping[str, str] = self.heads.tags
        if name not in tags:
            raise SourceError(
                f"the remote has no tag {name}", hint=f"push it; or {ELSEWHERE}", reason=Reason.no_release
            )
        policy = load_policy(self.clone.files(self.revision.commit))
        try:
            tag = read_strictly(loose("tag", self.clone.fetch_tag(name, self.heads)))
        except SourceError as error:
            if error.reason is Reason.lightweight_tag and policy.sign is Sign.none:
                return tags[name]
            raise
        named = NamedCommit(name, check_tag(name, tag), tag)
        if policy.sign is not Sign.none:
            trust = Trust.of_tree(self.clone.files(self.revision.commit)).or_else(self.first.trust())
            asked = replace(policy, sign=Sign.tag, threshold=1, rules=())
            Signers(self.clone, trust).of(asked, named, self.revision)
        return named.commit
