"""Whether the next pass would take a commit of ours: the same judge is asked, before anything is pushed.

In: what is deployed, whose policy and keys judge; a clone that has the commit, and maybe the object of its release tag.
Out: nothing, or a `RefusedError` that names the key and what to do. Rules: what people may still add (a tag, approvals)
is not missed yet; anything else is, for a commit that is refused blocks the branch until somebody rewrites it.

    check(desk, clone, "main", commit)
"""

import re
from dataclasses import replace

from gitops.errors import FleetError, Reason, SourceError, TowerosError
from gitops.fleet.keys.files import ALLOWED
from gitops.model import Policy, Sign
from gitops.sign.commits import PRINCIPAL, CommitKey
from gitops.source.clone.pushing import PushClone
from gitops.source.memory import StoredMemory
from gitops.source.trust.deployed import Deployed, Remembered
from gitops.source.trust.judge import Judge
from gitops.source.trust.objects import loose, read
from gitops.source.trust.signatures import FirstKeys
from gitops.source.trust.signers import NamedCommit
from gitops.workflows.updates.desk import Desk

_OF_THE_KEY = {Reason.unknown_key, Reason.nobody_trusted, Reason.expired_key, Reason.revoked_key}
_LIMIT = f'limits: [{{paths: ["pkg/*/packages.lock", images.lock], signers: [{PRINCIPAL}]}}]'
_HINTS = {
    Reason.beyond_limit: f"let a limit in fleet.yaml name these files for {PRINCIPAL}",
    Reason.rule_not_met: f"name {PRINCIPAL} among the signers of that rule, or choose `how: pull-request`",
}


class RefusedError(SourceError):
    """A commit of ours would be refused; nothing was pushed."""


class Refusals:
    """What was refused in one run: each reason once, with the names of all that it keeps back."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self.hints: list[str] = []

    def add(self, name: str, error: RefusedError) -> None:
        self._names.setdefault(error.message, []).append(name)
        if error.hint and error.hint not in self.hints:
            self.hints.append(error.hint)

    @property
    def problems(self) -> list[str]:
        return [f"{', '.join(names)}: {message}" for message, names in self._names.items()]


def check(desk: Desk, clone: PushClone, ref: str, commit: str, tag: str = "") -> None:
    """Judge a commit as the next pass would. `ref`: the branch, or the tag, of which `tag` is the object.

    Raises:
        RefusedError: it may not deploy.
    """
    settings, deployed = desk.settings, StoredMemory(desk.store).last()
    policy = deployed.policy if deployed else Policy()
    if policy.sign is Sign.tag and not tag:
        return  # whoever tags it answers for it
    first = FirstKeys(settings.allowed_signers, settings.openpgp_keys)
    named = NamedCommit(ref, commit, read(loose("tag", clone.raw_tag(tag))) if tag else None)
    judge = Judge(clone, _so_far(deployed, tagged=bool(tag)), first, settings.epoch, Remembered().keep)
    try:
        judge.accept(named)
    except (SourceError, FleetError) as error:
        if error.reason is Reason.rule_not_met and _others_follow(policy, tagged=bool(tag)):
            return
        raise _refused(desk, clone, deployed, error) from error


def _so_far(deployed: Deployed | None, *, tagged: bool) -> Deployed | None:
    """With a policy that asks for nothing that people add later."""
    if deployed is None:
        return None
    sign = Sign.head if deployed.policy.sign is Sign.both and not tagged else deployed.policy.sign
    return replace(deployed, policy=replace(deployed.policy, sign=sign, threshold=1))


def _others_follow(policy: Policy, *, tagged: bool) -> bool:
    """Whether somebody else's signature may still meet a rule."""
    more = policy.threshold > 1 if tagged else bool(policy.tags)
    return more and policy.sign is not Sign.every_commit


def _refused(desk: Desk, clone: PushClone, deployed: Deployed | None, error: TowerosError) -> RefusedError:
    line = CommitKey.open(desk.settings.keys).allowed
    # Each try makes another commit: what is wrong stays the same, and is said once.
    why = re.sub(r"\bcommit [0-9a-f]{40}", "the commit", re.sub(r"@(sha1:)?[0-9a-f]{12,40}", "", error.message))
    message = f"a commit of the controller's own would not deploy, so it is not pushed: {why}"
    if error.reason in _OF_THE_KEY:
        hint = f"{_of_the_key(clone, deployed)}: {line}"
    elif error.reason in _HINTS:
        hint = f"{_HINTS[error.reason]}; its key: {line}"
    else:
        hint = error.hint
    return RefusedError(message, hint=hint, reason=error.reason)


def _of_the_key(clone: PushClone, deployed: Deployed | None) -> str:
    """What to do with the key's line."""
    tree = clone.files(deployed.revision.commit) if deployed else None
    listed = tree.read(ALLOWED).decode(errors="replace") if tree and ALLOWED in tree.entries() else ""
    if any(line.split()[:1] == [PRINCIPAL] for line in listed.splitlines()):
        return (
            f"{ALLOWED} names another key of {PRINCIPAL}: the controller's own was made anew, or is another "
            "controller's; restore it from the backup of the keys, or replace that line by"
        )
    return f"add this line to {ALLOWED}, with a limit beside it in fleet.yaml (`source: {{{_LIMIT}}}`)"
