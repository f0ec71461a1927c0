"""The first sighting is kept, and only what is certainly gone is gone."""

from dataclasses import replace

from gitops.model import Advisory, Component, Ecosystem, Exposure, Finding, Severity, Sighting, Standing
from gitops.security.sightings import changed, named

SSL = Component(Ecosystem.debian, "libssl3", "1", "openssl", "1")
CVE = Advisory("CVE-1", Ecosystem.debian, "debian:13", "openssl", Severity.high)
WAITS, MENDED = Finding(SSL, CVE, Standing.waits), Finding(SSL, CVE, Standing.open, "2")
SEEN = Sighting("vm", "CVE-1", "openssl", Severity.high, 100)


def test_a_vulnerability_s_life() -> None:
    assert changed([], {"vm": Exposure((WAITS,))}, {"vm": None}, 100) == [SEEN]
    assert changed([SEEN], {"vm": Exposure((WAITS,))}, {"vm": None}, 150) == [], "nothing new"
    fixable = replace(SEEN, fixable=200)
    assert changed([SEEN], {"vm": Exposure((MENDED,))}, {"vm": None}, 200) == [fixable]
    assert changed([fixable], {"vm": Exposure((MENDED,))}, {"vm": None}, 250) == []
    assert changed([fixable], {"vm": Exposure()}, {"vm": None}, 300) == [replace(fixable, gone=300)]


def test_nothing_is_gone_because_nobody_knows() -> None:
    assert changed([SEEN], {"vm": Exposure()}, {}, 300) == []
    assert changed([SEEN], {}, {}, 300) == []


def test_another_severity_is_remembered_with_the_first_sighting() -> None:
    worse = replace(MENDED, advisory=replace(CVE, severity=Severity.critical))
    assert changed([SEEN], {"vm": Exposure((worse,))}, {"vm": None}, 9) == [
        replace(SEEN, severity=Severity.critical, fixable=9)
    ]


def test_a_source_that_nobody_speaks_of_any_more_was_not_mended() -> None:
    fixable = replace(SEEN, fixable=100)
    assert changed([fixable], {"vm": Exposure()}, {"vm": frozenset({"bash"})}, 300) == []
    assert changed([fixable], {"vm": Exposure()}, {"vm": frozenset({"openssl"})}, 300) == [replace(fixable, gone=300)]


def test_an_advisory_that_gets_another_name_keeps_its_first_sighting_and_is_not_counted_as_mended() -> None:
    old = replace(SEEN, advisory="GHSA-x", fixable=150)
    renamed = replace(MENDED, advisory=replace(CVE, aliases=("GHSA-x",)))
    assert changed([old], {"vm": Exposure((renamed,))}, {"vm": None}, 1000) == [
        replace(SEEN, seen=100, fixable=150),
        replace(old, gone=1000, fixable=0),
    ]


def test_a_role_that_is_no_more_was_not_mended() -> None:
    assert changed([replace(SEEN, fixable=100)], {}, {"vm": None}, 300) == [replace(SEEN, gone=300)]


def test_what_is_harmless_in_one_component_still_counts_in_another() -> None:
    harmless, waits = replace(WAITS, standing=Standing.harmless), WAITS
    for order in ((harmless, waits), (waits, harmless)):
        assert named(order)["CVE-1", "openssl"] is waits
