"""What is wrong with a component: an advisory of somebody's feed, and what we make of it.

finding.advisory.id, finding.advisory.severity, finding.fixed     # "CVE-2026-1234", Severity.high, "3.5.9-1~deb13u1"
"""

import enum
from dataclasses import dataclass

from gitops.model.inventory import Component, Ecosystem


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
    link: str = ""
    decision: Decision = Decision.none


class Standing(enum.StrEnum):
    """What is to be done about a finding; only `open` and `waits` ask for anything."""

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


@dataclass(frozen=True)
class Finding:
    """A component that an advisory speaks of. `fixed` is the source version that mends it, empty where there is none;
    `reason` is our own statement's, empty where we made none."""

    component: Component
    advisory: Advisory
    standing: Standing
    fixed: str = ""
    reason: str = ""
