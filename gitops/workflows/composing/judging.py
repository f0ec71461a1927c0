"""Every mistake of a fleet repo, whoever finds it: our own readers, ssh-keygen and gpg, and Docker compose itself.

In: a tree; what finds the pinned compose. Out: `Judged`. Rules: one finds what the others do not look for, so each is
asked, whatever the others say; of an app that has mistakes compose sees the rest.

    judged(FolderTree(folder), lambda: fetched(CACHE, Places())).problems
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gitops.errors import Problem
from gitops.fleet import judge_fleet, key_mistakes
from gitops.fleet.apps.clashes import clashes
from gitops.fleet.documents.files import without_consequences
from gitops.model import Fleet, Tree


@dataclass(frozen=True)
class Judged:
    """`asked`: whether compose could be asked about the apps, if there are any."""

    fleet: Fleet
    problems: tuple[Problem, ...]
    asked: bool = True


def judged(tree: Tree, find: Callable[[], Path | None], before: list[Problem] | None = None) -> Judged:
    """Raises FleetError when there is too much to be looked at. `before`: mistakes that were found on the way here."""
    found = judge_fleet(tree)
    problems = [*(before or ()), *found.problems, *key_mistakes(tree)]
    asked = True
    if found.apps:
        from gitops.workflows.composing.complaints import complaints_of  # most fleet repos have no apps

        program = find()
        asked = program is not None
        problems += complaints_of(program, tree, found.apps) if program else ()
        alike = {id(box.apps): box.apps for box in found.fleet.boxes.values() if box.apps}
        problems += [problem for apps in alike.values() for problem in clashes(tree, apps)]
    return Judged(found.fleet, tuple(sorted(without_consequences(problems))), asked)
