"""What a plan says of boxes that are pinned: whether they stay as they are, by the commits of a clone.

In: the fleet at the head, its files, what there is of the boxes. Out: the fleet without the boxes that are pinned, and
a line for each pin. Rules: names are read as the clone has them; who signed a tag is the controller's question; a pin
that the clone does not know is said, and the controller says whether it has it.

    free, pinned = Pinned.of(fleet, tree, existing, platform)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pygit2

from gitops.errors import SourceError, TowerosError
from gitops.fleet import load_fleet
from gitops.fleet.keys.logins import of_now
from gitops.model import Action, Existing, Fleet, Tree, canonical, sha256
from gitops.model.rollout.points import is_commit
from gitops.plan import box_key
from gitops.review.nouns import Change, Group, Summary
from gitops.source.clone.commits import Clone, LocalClone

SHOWN = 4


@dataclass(frozen=True)
class Pinned:
    """Boxes with one pin. `keys`: of those that it makes anew, what they had, and what they would be made from;
    `missing`: why it cannot be told."""

    name: str
    boxes: tuple[str, ...]
    keys: tuple[tuple[str, str, str], ...] = ()
    missing: str = ""

    @classmethod
    def of(cls, fleet: Fleet, tree: Tree, existing: Existing, platform: str) -> tuple[Fleet, tuple["Pinned", ...]]:
        """The fleet without them, and what becomes of them."""
        names = sorted({box.pin for box in fleet.boxes.values() if box.pin})
        if not names:
            return fleet, ()
        clone = clone_of(tree)
        found = tuple(_one(name, fleet, clone, existing, platform) for name in names)
        return replace(fleet, boxes={name: box for name, box in fleet.boxes.items() if not box.pin}), found

    def __str__(self) -> str:
        more = f" and {len(self.boxes) - SHOWN} more" if len(self.boxes) > SHOWN else ""
        who = f"{', '.join(self.boxes[:SHOWN])}{more}"
        anew = f"{len(self.keys)} of them made of it anew" if self.keys else "as it is made of it already"
        return f"pinned to {self.name}: {who}: {self.missing or anew}"


def told(summary: Summary, pinned: Sequence[Pinned]) -> Summary:
    """A summary that knows these boxes as unchanged, with what becomes of them."""
    if not pinned:
        return summary
    groups = tuple(
        Group(tuple(box for box, _, _ in each.keys), Action.UPDATE, Change.kernel, f"made of {each.name}, its pin")
        for each in pinned
        if each.keys
    )
    anew = sum(len(each.keys) for each in pinned)
    keys = {box: [old, new] for each in pinned for box, old, new in each.keys}
    digest = sha256(canonical({"plan": summary.digest, "pins": keys})) if keys else summary.digest
    return replace(
        summary,
        groups=summary.groups + groups,
        unchanged=summary.unchanged - anew,
        digest=digest,
        steering=(*summary.steering, *map(str, pinned)),
    )


def _one(name: str, fleet: Fleet, clone: Clone | None, existing: Existing, platform: str) -> Pinned:
    boxes = tuple(sorted(box.name for box in fleet.boxes.values() if box.pin == name))
    try:
        if clone is None:
            raise SourceError("this folder is no clone")
        there = of_now(load_fleet(clone.files(commit_of(clone, name)), platform), fleet)
        if lost := [box for box in boxes if box not in there.boxes]:
            raise SourceError(f"it has no box {lost[0]}")
        keys = ((box, existing.boxes.get(box, ""), box_key(there, there.boxes[box])) for box in boxes)
        return Pinned(name, boxes, tuple(each for each in keys if each[1] != each[2]))
    except TowerosError as error:
        return Pinned(name, boxes, missing=error.message.splitlines()[0])


def commit_of(clone: Clone, name: str) -> str:
    """What a controller takes it for: a whole commit id, else a tag. A tag may be called like an id, or a branch.

    Raises SourceError: this clone does not know it.
    """
    try:
        if is_commit(name):
            return str(clone.repository[pygit2.Oid(hex=name)].peel(pygit2.Commit).id)
        return str(clone.repository.references[f"refs/tags/{name}"].peel(pygit2.Commit).id)
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise SourceError("this clone has no such tag or commit: fetch it") from error


def clone_of(tree: Tree) -> Clone | None:
    """The clone that files are of, or around their folder."""
    repository, folder = getattr(tree, "repository", None), getattr(tree, "folder", None)
    if isinstance(repository, pygit2.Repository):
        return Clone(repository)
    return LocalClone(folder) if isinstance(folder, Path) and (folder / ".git").exists() else None
