"""A newer TowerOS in a fleet repo, and which boxes it touches.

In: a working clone. Out: what was merged, and the boxes whose releases would be others. Rules: what the merge made is
told even where the fleet repo has mistakes now; no store is needed.

    done = upgrade(Path("fleet"))
    touched(Path("fleet"), done)        # ("site-7",)
    older(Path("fleet"), done)          # ("pkg/sshd: openssl 3.5.9-1 -> 3.5.8-1",)
"""

from pathlib import Path

from debian.debian_support import Version

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


def older(folder: Path, done: Upgraded) -> tuple[str, ...]:
    """What the locks have in an older version than before: fixes that the fleet had, and that an upgrade would lose.

    Raises:
        FleetError: the fleet repo has mistakes, before or after.
    """
    before, after = (_locked(folder, name) for name in (done.before, done.commit))
    fallen = [key for key in before if key in after and Version(after[key]) < Version(before[key])]
    return tuple(f"{path}: {name} {before[path, name]} -> {after[path, name]}" for path, name in sorted(fallen))


def _locked(folder: Path, commit: str) -> dict[tuple[str, str], str]:
    """The version of each Debian package in each lock."""
    clone = LocalClone(folder)
    packages = load_fleet(clone.tree(clone.revision(commit))).packages
    rows = ((path, file) for path, package in packages.items() for file in package.lock)
    return {(path, file.name): file.version for path, file in rows if file.kind == "deb"}
