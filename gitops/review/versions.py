"""Which locked versions change, out of the locks of base and head. Pure.

changed(old.packages, new.packages)  ->  (Version("deb", "openssh-server", "1:10.0p1-7", "1:10.0p1-8", ("pkg/sshd",)),)
"""

from collections.abc import Iterable, Mapping

from gitops.model import Package
from gitops.review.nouns import Version

Names = dict[tuple[str, str], str]


def changed(old: Mapping[str, Package], new: Mapping[str, Package], paths: Iterable[str]) -> tuple[Version, ...]:
    """What differs in the packages at `paths`, by name; packages in which it differs alike are one."""
    changes: dict[tuple[str, str, str, str], list[str]] = {}
    for path in sorted(paths):
        before, after = _locked(old.get(path)), _locked(new.get(path))
        for kind, name in {**before, **after}:
            was, now = before.get((kind, name), ""), after.get((kind, name), "")
            if was != now:
                changes.setdefault((kind, name, was, now), []).append(path)
    return tuple(Version(*what, tuple(packages)) for what, packages in sorted(changes.items()))


def _locked(package: Package | None) -> Names:
    return {(file.kind, file.name): file.version for file in package.lock} if package else {}
