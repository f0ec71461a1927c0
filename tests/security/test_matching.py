"""What is affected is found, what is not is left alone, and what nobody knows is never clean."""

from dataclasses import replace

import pytest

from gitops.model import (
    Advisory,
    Affected,
    Component,
    Decision,
    Ecosystem,
    Exposure,
    Gap,
    Inventory,
    Scope,
    Severity,
    Standing,
    VexStatement,
    VexStatus,
)
from gitops.security.matching import Knowledge, expose, keys

DEBIAN = Scope(Ecosystem.debian, "debian:13")
SSL = Component(Ecosystem.debian, "libssl3", "3.5.7-1+b1", "openssl", "3.5.7-1")
CVE = Advisory("CVE-2026-1", Ecosystem.debian, "debian:13", "openssl", Severity.high, (Affected(fixed="3.5.9-1"),))
NOBODY = VexStatement(
    "CVE-2026-1", VexStatus.not_affected, "ada", "2026-12-01", ("openssl",), "inline_mitigations_already_exist"
)


def known(*advisories: Advisory, gaps: dict[Scope | None, tuple[Gap, ...]] | None = None) -> Knowledge:
    rows: dict[tuple[Scope, str], tuple[Advisory, ...]] = {}
    for each in advisories:
        rows[each.scope, each.source] = (*rows.get((each.scope, each.source), ()), each)
    return Knowledge(rows, frozenset({DEBIAN, Scope(Ecosystem.pypi)}), gaps or {})


def look(*advisories: Advisory, component: Component = SSL, **more: object) -> Exposure:
    return expose(Inventory((component,), (), "debian:13"), known(*advisories), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ranges", "versions", "hit"),
    [
        ((Affected(fixed="3.5.9-1"),), (), True),
        ((Affected(fixed="3.5.7-1"),), (), False),
        ((Affected("3.5.8-1", "3.5.9-1"),), (), False),
        ((Affected("3.5.7-1", "3.5.9-1"),), (), True),
        ((Affected(last="3.5.7-1"),), (), True),
        ((Affected(last="3.5.6-1"),), (), False),
        ((Affected("1", "2"), Affected("3", "4")), (), True),
        ((Affected(),), (), True),
        ((), ("3.5.7-1",), True),
        ((), ("3.5.7-2",), False),
    ],
)
def test_a_version_is_inside_of_a_range_or_not(
    ranges: tuple[Affected, ...], versions: tuple[str, ...], hit: bool
) -> None:
    assert bool(look(replace(CVE, ranges=ranges, versions=versions)).findings) is hit


def test_another_distribution_s_and_another_source_s_advisories_say_nothing() -> None:
    assert look(replace(CVE, distribution="debian:12"), replace(CVE, source="libssl3")).findings == ()


@pytest.mark.parametrize(
    ("decision", "fixed", "standing"),
    [
        (Decision.none, "9", Standing.open),
        (Decision.ignored, "9", Standing.open),
        (Decision.none, "", Standing.waits),
        (Decision.no_dsa, "", Standing.waits),
        (Decision.postponed, "", Standing.waits),
        (Decision.ignored, "", Standing.declined),
        (Decision.end_of_life, "", Standing.declined),
    ],
)
def test_how_a_finding_stands(decision: Decision, fixed: str, standing: Standing) -> None:
    [found] = look(replace(CVE, decision=decision, ranges=(Affected(fixed=fixed),))).findings
    assert (found.standing, found.fixed, found.standing.counted) == (standing, fixed, True)


def test_two_feeds_on_one_vulnerability_are_one_finding_with_the_fix_and_the_worse_word() -> None:
    other = replace(CVE, severity=Severity.critical, ranges=(Affected(),))
    unknown = replace(CVE, severity=Severity.unknown)
    for order in ((other, unknown), (unknown, other)):
        [found] = look(*order).findings
        assert (found.fixed, found.advisory.severity, found.standing) == ("3.5.9-1", Severity.critical, Standing.open)


def test_a_bundle_of_what_is_told_anyway_is_not_told_and_one_of_more_is() -> None:
    two = replace(CVE, id="CVE-2026-2")
    bundle = replace(CVE, id="DSA-1", aliases=("CVE-2026-1", "CVE-2026-2"))
    assert [each.advisory.id for each in look(CVE, two, bundle).findings] == ["CVE-2026-1", "CVE-2026-2"]
    assert [each.advisory.id for each in look(CVE, bundle).findings] == ["CVE-2026-1", "DSA-1"]


@pytest.mark.parametrize(
    ("change", "today", "standing"),
    [
        ({}, "2026-12-01", Standing.harmless),
        ({}, "2026-12-02", Standing.open),
        ({"packages": ("nginx",)}, "2026-11-01", Standing.open),
        ({"packages": ()}, "2026-11-01", Standing.harmless),
        ({"vulnerability": "DSA-9"}, "2026-11-01", Standing.harmless),
        ({"vulnerability": "CVE-2026-9"}, "2026-11-01", Standing.open),
        ({"status": VexStatus.under_investigation}, "2026-11-01", Standing.investigated),
        ({"status": VexStatus.fixed}, "2026-11-01", Standing.harmless),
        ({"status": VexStatus.affected}, "2026-11-01", Standing.open),
    ],
)
def test_a_statement_counts_for_what_it_names_until_its_last_day(
    change: dict[str, object], today: str, standing: Standing
) -> None:
    statement = replace(NOBODY, **change)  # type: ignore[arg-type]
    [found] = look(replace(CVE, aliases=("DSA-9",)), statements=[statement], today=today).findings
    assert found.standing is standing


def test_what_nobody_covers_is_a_gap_and_what_is_late_too() -> None:
    alpine = Component(Ecosystem.alpine, "musl", "1-r0", "musl", "1-r0", distribution="alpine:3.19")
    inventory = Inventory((SSL, alpine), (), "debian:13", ("x: unknown inside",))
    late = Gap("feed debian", "it says nothing new", 5)
    found = expose(inventory, known(CVE, gaps={DEBIAN: (late,)}))
    assert [each.advisory.id for each in found.findings] == ["CVE-2026-1"], "what was said before counts"
    assert found.gaps == (
        Gap("x: unknown inside", "it could not be looked into"),
        Gap("alpine:3.19", "no feed speaks of it"),
        late,
    )
    assert expose(inventory, Knowledge()).gaps[1:] == (
        Gap("alpine:3.19", "no feed speaks of it"),
        Gap("debian:13", "no feed speaks of it"),
    )


def test_a_version_that_cannot_be_compared_is_a_gap() -> None:
    found = look(CVE, component=replace(SSL, source_version="?"))
    assert found.findings == () and "cannot be compared" in found.gaps[0].why


def test_what_has_to_be_asked_for() -> None:
    six = Component(Ecosystem.pypi, "six", "1", "six", "1", distribution="debian:12")
    assert keys(Inventory((SSL, six), (), "debian:13")) == {(DEBIAN, "openssl"), (Scope(Ecosystem.pypi), "six")}


def test_bundles_never_hide_each_other() -> None:
    names = ("CVE-2026-1", "CVE-2026-2")
    one, two = replace(CVE, id="DSA-1-1", aliases=names), replace(CVE, id="DSA-1-2", aliases=names)
    assert [each.advisory.id for each in look(one, two).findings] == ["DSA-1-2"], "one of them stays"
    first, second = (
        replace(CVE, id="GHSA-a", aliases=("PYSEC-1", "x")),
        replace(CVE, id="PYSEC-1", aliases=("GHSA-a", "x")),
    )
    assert len(look(first, second).findings) == 1


def test_a_bundle_that_is_not_told_leaves_its_fix() -> None:
    unfixed = replace(CVE, ranges=(Affected(),))
    two = replace(CVE, id="CVE-2026-2", ranges=(Affected(),))
    bundle = replace(CVE, id="DSA-1", aliases=("CVE-2026-1", "CVE-2026-2"))
    found = look(unfixed, two, bundle).findings
    assert [(each.advisory.id, each.fixed, each.standing) for each in found] == [
        ("CVE-2026-1", "3.5.9-1", Standing.open),
        ("CVE-2026-2", "3.5.9-1", Standing.open),
    ]


def test_a_statement_on_one_cve_says_nothing_of_a_bundle_with_another_one() -> None:
    bundle = replace(CVE, id="GHSA-a", aliases=("CVE-2026-1", "CVE-2026-2"))
    assert [each.standing for each in look(bundle, statements=[NOBODY], today="2026-11-01").findings] == [Standing.open]
    single = replace(CVE, id="GHSA-a", aliases=("CVE-2026-1", "PYSEC-1"))
    assert look(single, statements=[NOBODY], today="2026-11-01").findings[0].standing is Standing.harmless


def test_a_listed_version_of_pypi_is_the_same_with_more_zeros() -> None:
    six = Component(Ecosystem.pypi, "six", "1.0", "six", "1.0")
    advisory = Advisory("X-1", Ecosystem.pypi, "", "six", versions=("1.0.0",))
    assert len(look(advisory, component=six).findings) == 1
