"""A commit that takes others back, on top of the deployed one.

In: a clone, what is deployed, a `Blame`. Out: a `Taken`, or an `UnfitError` that says why there is none. Rules: what
was deployed on top stays (as `git revert` does it, three ways, by lines, but locks are never mixed); what does not
apply cleanly, is no valid fleet repo, or brings back what boxes refused before is not made; what says whom to trust
(`keys/`, and fleet.yaml where its `source:` changed) stays as it is, so that no key comes back that somebody took out.

    draft(clone, Case(revision, blame, boxes, platform), refused, now).commit
"""

from collections.abc import Container, Sequence

import pygit2

from gitops.errors import FleetError, TowerosError
from gitops.fleet import load_fleet, load_policy
from gitops.source.clone.pushing import PushClone
from gitops.source.trust.rules import source_part
from gitops.workflows.reverts.nouns import Blame, Case, Taken

KEYS, FLEET, LOCK = "keys/", "fleet.yaml", ".lock"
NAMED = 20
"""Boxes that a commit's message names."""


class UnfitError(TowerosError):
    """What stopped the rollout cannot be taken back by a commit of ours."""


def draft(clone: PushClone, case: Case, refused: Container[str], now: int) -> Taken:
    """The commit, which no branch has yet. `refused`: trees (ids) that stopped a rollout before.

    Raises:
        UnfitError: there is none.
    """
    head, blame = case.revision.commit, case.blame
    newest = clone.describe("", blame.newest, 0)
    tree, stays = _tree(clone, head, blame)
    if tree == tree_of(clone, head):
        raise UnfitError(f"nothing is left of {newest.commit[:12]} that could be taken back")
    if tree in refused:
        raise UnfitError("to take it back would bring back what stopped a rollout before")
    lines = (f"{blame.newest} {newest.subject}", f"back to {blame.before}")
    subject = f"revert: take back {blame.newest[:12]}"
    commit = clone.commit_tree(head, tree, _message(subject, lines, stays, case.boxes), now)
    try:
        load_fleet(clone.files(commit), case.platform)
    except FleetError as error:
        first = error.problems[0] if error.problems else error.message
        raise UnfitError(f"without {newest.commit[:12]} the fleet repo has mistakes: {first}") from error
    return Taken(commit, subject, lines, stays)


def tree_of(clone: PushClone, commit: str) -> str:
    """The id of a commit's tree."""
    return clone.files(commit).tree_id("")


def _tree(clone: PushClone, head: str, blame: Blame) -> tuple[str, tuple[str, ...]]:
    ancestor, ours, theirs = (pygit2.Oid(hex=tree_of(clone, each)) for each in (blame.newest, head, blame.before))
    # Without looking for renames: a guess has no place in what nobody wrote.
    merged = clone.repository.merge_trees(ancestor, ours, theirs, flags=pygit2.enums.MergeFlag(0))
    if merged.conflicts:
        paths = {side.path for sides in merged.conflicts for side in sides if side}
        raise UnfitError(f"what was deployed since changed the same lines: {', '.join(sorted(paths)[:NAMED])}")
    if mixed := _mixed(merged, clone.index(head), clone.index(blame.before)):
        raise UnfitError(f"what was deployed since changed the same locks, which are never mixed: {', '.join(mixed)}")
    stays = tuple(
        each
        for each, changed in ((KEYS, _keys(clone, blame)), (FLEET, _source(clone, blame)))
        if changed and _keep(merged, clone.index(head), each)
    )
    return str(merged.write_tree(clone.repository)), stays


def _mixed(merged: pygit2.Index, *sides: pygit2.Index) -> list[str]:
    """Locks that are those of neither side: what is locked together was tried together."""
    theirs = [{entry.path: entry.id for entry in side} for side in sides]
    locks = (entry for entry in merged if entry.path.endswith(LOCK))
    return [entry.path for entry in locks if entry.id not in [side.get(entry.path) for side in theirs]][:NAMED]


def _keep(index: pygit2.Index, head: pygit2.Index, path: str) -> bool:
    """The head's files there. Returns whether they are others."""
    before = {entry.path: str(entry.id) for entry in index if entry.path.startswith(path)}
    wanted = {entry.path: entry for entry in head if entry.path.startswith(path)}
    for name in before:
        index.remove(name)
    for entry in wanted.values():
        index.add(entry)
    return before != {name: str(entry.id) for name, entry in wanted.items()}


def _keys(clone: PushClone, blame: Blame) -> bool:
    before, newest = (
        {entry.path: str(entry.id) for entry in clone.index(each)} for each in (blame.before, blame.newest)
    )
    return any(path.startswith(KEYS) for path, _ in {*before.items()} ^ {*newest.items()})


def _source(clone: PushClone, blame: Blame) -> bool:
    try:
        before, newest = (load_policy(clone.files(each)) for each in (blame.before, blame.newest))
    except FleetError:
        return True
    return source_part(before) != source_part(newest)


def _message(subject: str, lines: Sequence[str], stays: Sequence[str], boxes: Sequence[str]) -> str:
    more = f" and {len(boxes) - NAMED} more" if len(boxes) > NAMED else ""
    kept = ["", f"{' and '.join(stays)} stay as they are: they say whom to trust."] if stays else []
    refuse = f"The rollout stopped at {', '.join(boxes[:NAMED])}{more}."
    return "\n".join([subject, "", *lines, *kept, "", refuse, ""])
