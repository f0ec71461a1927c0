"""What is wrong with a component: an advisory of somebody's feed, and what we make of it.

finding.advisory.id, finding.advisory.severity, finding.fixed     # "CVE-2026-1234", Severity.high, "3.5.9-1~deb13u1"
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from gitops.model.security.inventory import Component, Ecosystem


class Severity(enum.StrEnum):
    """How bad, as the feed says it; `unknown` where it does not say. `rank` sorts the worst first."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"
    negligible = "negligible"
    unknown = "unknown"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Decision(enum.StrEnum):
    """What the distribution has decided about a fix, where it has: the words of Debian's security tracker."""

    none = ""
    no_dsa = "no-dsa"
    postponed = "postponed"
    ignored = "ignored"
    end_of_life = "end-of-life"


class Scope(NamedTuple):
    """Whose packages: `debian` with a distribution such as `debian:13`, or `pypi`, which has none."""

    ecosystem: Ecosystem
    distribution: str = ""

    def __str__(self) -> str:
        return self.distribution or self.ecosystem.value


@dataclass(frozen=True, order=True)
class Affected:
    """Versions from `introduced` (empty: from the first) to before `fixed`, or up to `last` itself (empty: no end)."""

    introduced: str = ""
    fixed: str = ""
    last: str = ""


@dataclass(frozen=True)
class Advisory:
    """One known fault of one source package in one distribution (`debian:13`; empty for PyPI).

    It affects the `versions` that it lists, and those in `ranges`. `id` is its CVE where it has one.
    """

    id: str
    ecosystem: Ecosystem
    distribution: str
    source: str
    severity: Severity = Severity.unknown
    ranges: tuple[Affected, ...] = ()
    versions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    title: str = ""
    decision: Decision = Decision.none

    @property
    def scope(self) -> Scope:
        return Scope(self.ecosystem, self.distribution)

    @property
    def link(self) -> str:
        """Where people read about it."""
        place = "https://www.cve.org/CVERecord?id=" if self.id.startswith("CVE-") else "https://osv.dev/vulnerability/"
        return place + self.id

    @property
    def names(self) -> frozenset[str]:
        """All that it is known by."""
        return frozenset((self.id, *self.aliases))


class Standing(enum.StrEnum):
    """How a finding stands. It is `counted` unless it asks nobody for anything."""

    open = "open"
    """A newer version fixes it."""
    waits = "no fix yet"
    """The distribution has none, and has not said that there will be none."""
    declined = "no fix will come"
    """The distribution ignores it, or no longer supports the package."""
    investigated = "under investigation"
    """A statement of ours says that somebody looks into it."""
    harmless = "not affected"
    """A statement of ours says that it does no harm here."""

    @property
    def counted(self) -> bool:
        return self is not Standing.harmless


@dataclass(frozen=True)
class Finding:
    """A component that an advisory speaks of. `fixed` is the source version that mends it, empty where there is none;
    `reason` is our own statement's, empty where we made none."""

    component: Component
    advisory: Advisory
    standing: Standing
    fixed: str = ""
    reason: str = ""


class VexStatus(enum.StrEnum):
    """What a statement says, in OpenVEX's words."""

    not_affected = "not_affected"
    affected = "affected"
    fixed = "fixed"
    under_investigation = "under_investigation"


@dataclass(frozen=True)
class VexStatement:
    """What the fleet's people say of a vulnerability: of these source packages, or of all when none is named.

    `until` is the last day on which it counts (ISO 8601); `justification` is one of OpenVEX's words.
    """

    vulnerability: str
    status: VexStatus
    author: str
    until: str
    packages: tuple[str, ...] = ()
    justification: str = ""
    note: str = ""


@dataclass(frozen=True)
class Gap:
    """Something that is not known, and so not clean. `since`: Unix seconds, 0: it never was."""

    about: str
    why: str
    since: int = 0


@dataclass(frozen=True)
class Exposure:
    """What is wrong with an inventory, as far as anybody knows, and what nobody knows."""

    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Sighting:
    """A vulnerability of a source, in a role. Times are Unix seconds, 0: not yet. `fixable`: since when a newer version
    mends it."""

    role: str
    advisory: str
    source: str
    severity: Severity
    seen: int
    fixable: int = 0
    gone: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.role, self.advisory, self.source
