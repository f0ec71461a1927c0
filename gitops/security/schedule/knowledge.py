"""What is known of advisories, as far as a run of updates asks. Pure.

Nothing().known         # False: nobody has read a feed
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from gitops.model import Component, Finding, LockedFile, Standing, VexStatement
from gitops.security.components import of_lock
from gitops.security.matching import stated
from gitops.security.schedule.choice import Locks


class Knowledge(Protocol):
    """`known`: a feed was read, and is not stale."""

    @property
    def known(self) -> bool: ...

    @property
    def stamp(self) -> str:
        """Changes when what is known does."""

    def findings(self, components: Iterable[Component]) -> tuple[Finding, ...]:
        """What is wrong with them."""

    def unsure(self, components: Iterable[Component]) -> frozenset[str]:
        """Names of those of which something may be wrong that nobody knows."""


class Nothing:
    """Nobody has read a feed."""

    known, stamp = False, ""

    def findings(self, components: Iterable[Component]) -> tuple[Finding, ...]:
        return ()

    def unsure(self, components: Iterable[Component]) -> frozenset[str]:
        return frozenset(component.name for component in components)


def unsure(before: Locks, after: Locks, knowledge: Knowledge) -> frozenset[str]:
    """Source packages, as locks call them, of which nobody knows all that is wrong before or after."""
    files = (*_files(before), *_files(after))
    names = knowledge.unsure(map(of_lock, files))
    return frozenset(file.source or file.name for file in files if file.name in names)


def mended(
    before: Locks, after: Locks, knowledge: Knowledge, statements: Iterable[VexStatement] = (), today: str = ""
) -> Mapping[str, tuple[Finding, ...]]:
    """By source package, as locks call it: what is wrong before and not after, but for what the fleet's own statements
    call harmless. Advisories may call a source otherwise: of `linux-signed-amd64` they say `linux`."""
    sources = {file.name: file.source or file.name for file in (*_files(after), *_files(before))}
    old, new = (knowledge.findings(map(of_lock, _files(locks))) for locks in (before, after))
    still = {(finding.advisory.id, finding.component.name) for finding in new}
    found: dict[str, list[Finding]] = {}
    for finding in stated(old, statements, today):
        name = finding.component.name
        if finding.standing is not Standing.harmless and (finding.advisory.id, name) not in still and name in sources:
            found.setdefault(sources[name], []).append(finding)
    return {source: tuple(findings) for source, findings in found.items()}


def _files(locks: Locks) -> Iterable[LockedFile]:
    return (file for lock in locks.values() for file in lock)
