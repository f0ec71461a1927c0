"""Release tags on commits of our own, where tags deploy.

In: what the remote has, the policy's pattern, the deployed release. Out: a signed tag on the remote. Rules: the name is
known to fit and to be free before the branch moves; a tag that a stopped run left out is made up.

    name = next_name(clone.heads(), "v*", "v1.2.3")         # v1.2.4
    tag = sealed(desk, clone, "main", commit, name)
    clone.push("refs/heads/main", commit, before)
    release(clone, name, tag)
"""

from dataclasses import replace
from fnmatch import fnmatchcase

from gitops.errors import SourceError
from gitops.model import Fleet, Revision
from gitops.model.updates.patching import How
from gitops.source.clone.pushing import PushClone
from gitops.source.clone.remote import Heads
from gitops.source.versions import next_patch
from gitops.workflows.updates.desk import Desk
from gitops.workflows.updates.gate import check
from gitops.workflows.updates.memory import Memory
from gitops.workflows.updates.pulls import is_pull


def next_name(heads: Heads, pattern: str, last: str) -> str:
    """The first patch version after `last` that no tag has yet.

    Raises:
        SourceError: it would not deploy.
    """
    name = next_patch(last)
    while name in heads.tags:
        name = next_patch(name)
    if not fnmatchcase(name, pattern):
        hint = "choose a pattern of `tags` in fleet.yaml that the next patch version fits, or another `how`"
        raise SourceError(f"the next release {name} would not deploy: `tags` is {pattern}", hint=hint)
    return name


def sealed(desk: Desk, clone: PushClone, branch: str, commit: str, name: str = "") -> str:
    """The object of a signed release tag, or nothing without a `name`; once the next pass would take both.

    Raises:
        RefusedError: it would not. Nothing was pushed.
    """
    words = (name, commit, f"{name}: security updates", int(desk.clock()))
    tag = clone.tag(*words) if name else ""
    check(desk, clone, name or branch, commit, tag)
    return tag


def release(clone: PushClone, name: str, tag: str) -> None:
    """Bring a tag's object to the remote."""
    clone.push(f"refs/tags/{name}", tag, "")


def make_up(desk: Desk, clone: PushClone, memory: Memory, fleet: Fleet, revision: Revision, head: str) -> str:
    """Tag the branch's head, when it is a commit of ours that lacks its tag. Returns the tag's name; empty: it is not.

    Raises:
        SourceError: the remote is away, or does not let us.
    """
    patching, heads = fleet.policy.security, clone.heads()
    ours = {
        name: each
        for name, each in memory.patches.proposals.items()
        if head in (each.pushed, each.pushing) and not is_pull(each)
    }
    tagged = {*heads.tags.values(), *heads.peeled.values()}
    if patching is None or patching.how is not How.tag or not ours or head in tagged:
        return ""
    if not clone.descends(head, revision.commit):
        return ""
    made = next_name(heads, fleet.policy.tags, revision.ref)
    release(clone, made, sealed(desk, clone, "", head, made))
    for name, each in ours.items():
        memory.keep(name, replace(each, pushed=each.pushed or head))
    return made
