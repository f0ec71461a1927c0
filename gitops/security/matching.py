"""Which advisories speak of what is inside. Pure.

In: an inventory, what the feeds say, the fleet's own statements, the day. Out: an `Exposure`. Rules:

- A component is affected when its source's version lies in one of an advisory's ranges, or is in its list.
- Nothing is clean because nobody knows: a distribution that no feed covers, a feed that is late, a version without an
  order, and what could not be looked into are gaps.
- A statement counts to the end of its last day, for the sources that it names.
- An advisory that only bundles others that were found (as a DSA bundles CVEs) is not told again.

    expose(inventory, knowledge, fleet.statements, "2026-11-28").findings
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from packaging.utils import canonicalize_version

from gitops.model import (
    Advisory,
    Affected,
    Component,
    Decision,
    Ecosystem,
    Exposure,
    Finding,
    Gap,
    Inventory,
    Scope,
    Standing,
    VexStatement,
    VexStatus,
)
from gitops.security.versions import is_older

Key = tuple[Scope, str]
"""Whose packages, and the name of a source among them."""
DECLINED = (Decision.ignored, Decision.end_of_life)


@dataclass(frozen=True)
class Knowledge:
    """What feeds say of some sources. `gaps`: what is known late, or in part, of a scope; under None: of all."""

    advisories: Mapping[Key, tuple[Advisory, ...]] = field(default_factory=dict)
    covered: frozenset[Scope] = frozenset()
    gaps: Mapping[Scope | None, tuple[Gap, ...]] = field(default_factory=dict)


def scope_of(component: Component, inventory: Inventory) -> Scope:
    """Whose component it is."""
    if component.ecosystem is Ecosystem.pypi:
        return Scope(Ecosystem.pypi)
    if component.ecosystem is Ecosystem.generic:
        return Scope(Ecosystem.generic, component.distribution)
    return Scope(component.ecosystem, component.distribution or inventory.distribution)


def keys(inventory: Inventory) -> frozenset[Key]:
    """What has to be asked for."""
    return frozenset((scope_of(each, inventory), each.source) for each in inventory.components)


def expose(
    inventory: Inventory, knowledge: Knowledge, statements: Collection[VexStatement] = (), today: str = ""
) -> Exposure:
    """What is wrong with an inventory. `today` is an ISO date; empty: no statement has run out."""
    gaps = [Gap(text, "it could not be looked into") for text in inventory.unread]
    scopes = {scope_of(each, inventory) for each in inventory.components}
    gaps += _gaps(scopes, knowledge)
    findings: list[Finding] = []
    for component in inventory.components:
        mine, odd = _of_component(component, scope_of(component, inventory), knowledge)
        findings += _unbundled(mine)
        gaps += odd
    findings = stated(findings, statements, today)
    findings.sort(key=lambda each: (each.advisory.severity.rank, each.component.source, each.advisory.id))
    return Exposure(tuple(findings), tuple(dict.fromkeys(gaps)))


def _gaps(scopes: Iterable[Scope], knowledge: Knowledge) -> Iterator[Gap]:
    if everywhere := knowledge.gaps.get(None):
        yield from everywhere
        return
    for scope in sorted(scopes):
        yield from knowledge.gaps.get(scope, ())
        if scope not in knowledge.covered and not knowledge.gaps.get(scope):
            yield Gap(str(scope), "no feed speaks of it")


def _of_component(component: Component, scope: Scope, knowledge: Knowledge) -> tuple[list[Finding], list[Gap]]:
    findings: dict[str, Finding] = {}
    gaps: list[Gap] = []
    for advisory in knowledge.advisories.get((scope, component.source), ()):
        try:
            hit = _hit(component, advisory)
        except ValueError:
            words = f"{component.source} {component.source_version}"
            gaps.append(Gap(words, f"its version cannot be compared with those of {advisory.id}"))
            continue
        if hit is not None:
            found = Finding(component, advisory, _standing(advisory, hit), hit.fixed)
            findings[advisory.id] = _merged(findings.get(advisory.id), found)
    return list(findings.values()), gaps


def _hit(component: Component, advisory: Advisory) -> Affected | None:
    """The range in which the component's version lies; None: it is not affected."""
    version, ecosystem = component.source_version, component.ecosystem
    for each in advisory.ranges:
        begins = not each.introduced or not is_older(ecosystem, version, each.introduced)
        ends = bool(each.fixed) and not is_older(ecosystem, version, each.fixed)
        over = bool(each.last) and is_older(ecosystem, each.last, version)
        if begins and not ends and not over:
            return each
    return Affected() if _plain(ecosystem, version) in {_plain(ecosystem, each) for each in advisory.versions} else None


def _plain(ecosystem: Ecosystem, version: str) -> str:
    """For PyPI, 1.0 and 1.0.0 are one version (PEP 440)."""
    return canonicalize_version(version) if ecosystem is Ecosystem.pypi else version


def _standing(advisory: Advisory, hit: Affected) -> Standing:
    if hit.fixed:
        return Standing.open
    return Standing.declined if advisory.decision in DECLINED else Standing.waits


def _merged(one: Finding | None, other: Finding) -> Finding:
    """Two feeds on one vulnerability: the one that knows a fix, with the worse of the severities that are known."""
    if one is None:
        return other
    better, rest = (one, other) if one.fixed or not other.fixed else (other, one)
    severity = min(better.advisory.severity, rest.advisory.severity, key=lambda each: each.rank)
    return replace(better, advisory=replace(better.advisory, severity=severity))


def _unbundled(findings: list[Finding]) -> list[Finding]:
    """Without those of which others that stay say all; their fix goes to those others, which may not know one."""
    kept = list(findings)
    for each in findings:
        rest = [other for other in kept if other is not each]
        told = {name for other in rest for name in other.advisory.names}
        if len(each.advisory.aliases) > 1 and told.issuperset(each.advisory.aliases):
            parts = each.advisory.names
            kept = [_mended_by(other, each) if parts & other.advisory.names else other for other in rest]
    return kept


def _mended_by(finding: Finding, bundle: Finding) -> Finding:
    if finding.fixed or not bundle.fixed:
        return finding
    return replace(finding, fixed=bundle.fixed, standing=Standing.open)


def stated(findings: Iterable[Finding], statements: Iterable[VexStatement], today: str) -> list[Finding]:
    """Findings as they stand by the fleet's own statements, those that have not run out."""
    counted = [each for each in statements if today <= each.until]
    return [_stated(each, counted) for each in findings]


def _stated(finding: Finding, statements: Iterable[VexStatement]) -> Finding:
    for each in statements:
        named = not each.packages or finding.component.source in each.packages
        if named and _speaks_of(each, finding.advisory):
            return replace(finding, standing=_by(each, finding), reason=_words(each))
    return finding


def _speaks_of(statement: VexStatement, advisory: Advisory) -> bool:
    """Of the advisory itself. What is said of one CVE is not said of a bundle that has another one, too."""
    alone = sum(name.startswith("CVE-") for name in advisory.names) <= 1
    return statement.vulnerability == advisory.id or (alone and statement.vulnerability in advisory.aliases)


def _by(statement: VexStatement, finding: Finding) -> Standing:
    if statement.status in (VexStatus.not_affected, VexStatus.fixed):
        return Standing.harmless
    return Standing.investigated if statement.status is VexStatus.under_investigation else finding.standing


def _words(statement: VexStatement) -> str:
    why = ": ".join(filter(None, (statement.justification, statement.note)))
    return f"{statement.author}: {why or statement.status} (until {statement.until})"
