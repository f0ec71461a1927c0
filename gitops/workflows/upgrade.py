"""A newer TowerOS in a fleet repo, and which boxes it touches.

In: a working clone. Out: what was merged, and the boxes whose releases would be others. Rules: what the merge made is
told even where the fleet repo has mistakes now; no store is needed.

    done = upgrade(Path("fleet"))
    touched(Path("fleet"), done)        # ("site-7",)
"""

from pathlib import Path

from gitops.fleet import load_fleet
from gitops.plan import box_keys
from gitops.source.clone.commits import LocalClone
from gitops.source.upgrade import Upgraded


def touched(folder: Path, done: Upgraded) -> tuple[str, ...]:
    """The boxes that get another release by an upgrade that is committed.

    Raises:
        FleetError: the fleet repo has mistakes, before or after.
    """
    clone = LocalClone(folder)
    before, after = (box_keys(load_fleet(clone.tree(clone.revision(name)))) for name in (done.before, done.commit))
    return tuple(sorted(name for name, key in after.items() if before.get(name) != key))
