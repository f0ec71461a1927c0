"""Which advisories a plan fixes, and which it brings in, out of the locks of base and head. Pure.

In: the packages of both, and what the feeds say. Out: a `SecurityChange`. Rules: only packages whose locks differ are
looked at; an advisory is fixed in a package that had a source which it affects, and has none any more; the worst first.

    compared(old.packages, new.packages, knowledge).fixes
"""

from collections.abc import Iterable, Iterator, Mapping

from gitops.model import Exposure, Finding, Inventory, LockedFile, Package
from gitops.review.nouns import SecurityChange, Vulnerability
from gitops.security.components import of_lock
from gitops.security.distribution import distribution_of
from gitops.security.matching import Knowledge, expose, scope_of

Name = tuple[str, str]


def relocked(old: Mapping[str, Package], new: Mapping[str, Package]) -> Iterator[tuple[str, Inventory, Inventory]]:
    """Path, and what its lock held before and holds now, of each package whose lock differs."""
    everywhere = distribution_of(_files(new)) or distribution_of(_files(old))
    for path in sorted({*old, *new}):
        before, after = (packages[path].lock if path in packages else () for packages in (old, new))
        if before != after:
            yield path, _inventory(before, everywhere), _inventory(after, everywhere)


def compared(old: Mapping[str, Package], new: Mapping[str, Package], knowledge: Knowledge) -> SecurityChange:
    """What is fixed, and what comes in."""
    fixes: dict[tuple[Name, str, str], list[str]] = {}
    brings: dict[tuple[Name, str, str], list[str]] = {}
    findings: dict[Name, Finding] = {}
    unknown: dict[str, None] = {}
    for path, before, after in relocked(old, new):
        was, now = expose(before, knowledge), expose(after, knowledge)
        unknown |= dict.fromkeys(f"{gap.about}: {gap.why}" for gap in (*was.gaps, *now.gaps))
        gone, come = _names(was), _names(now)
        silent = {each.source for each in after.components if scope_of(each, after) not in knowledge.covered}
        gone = {name: each for name, each in gone.items() if name[1] not in silent}
        findings |= gone | come
        versions = _versions(before), _versions(after)
        for rows, names in ((fixes, gone.keys() - come.keys()), (brings, come.keys() - gone.keys())):
            for name in names:
                old_version, new_version = (each.get(name[1], "") for each in versions)
                rows.setdefault((name, old_version, new_version), []).append(path)
    return SecurityChange(_sorted(fixes, findings), _sorted(brings, findings), tuple(unknown))


def _files(packages: Mapping[str, Package]) -> Iterator[LockedFile]:
    return (file for package in packages.values() for file in package.lock)


def _inventory(lock: Iterable[LockedFile], distribution: str) -> Inventory:
    return Inventory(tuple(sorted({of_lock(file) for file in lock})), (), distribution)


def _names(exposure: Exposure) -> dict[Name, Finding]:
    return {(each.advisory.id, each.component.source): each for each in exposure.findings}


def _versions(inventory: Inventory) -> dict[str, str]:
    return {each.source: each.source_version for each in inventory.components}


def _sorted(
    rows: Mapping[tuple[Name, str, str], list[str]], findings: Mapping[Name, Finding]
) -> tuple[Vulnerability, ...]:
    made = [
        Vulnerability(
            advisory=name[0],
            severity=findings[name].advisory.severity,
            source=name[1],
            old=old,
            new=new,
            packages=tuple(packages),
            link=findings[name].advisory.link,
        )
        for (name, old, new), packages in rows.items()
    ]
    return tuple(sorted(made, key=lambda each: (each.severity.rank, each.source, each.advisory, each.old)))
