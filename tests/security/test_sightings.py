"""The first sighting is kept, and only what is certainly gone is gone."""

from dataclasses import replace

from gitops.model import Advisory, Component, Ecosystem, Exposure, Finding, Severity, Sighting, Standing
from gitops.security.sightings import changed

SSL = Component(Ecosystem.debian, "libssl3", "1", "openssl", "1")
CVE = Advisory("CVE-1", Ecosystem.debian, "debian:13", "openssl", Severity.high)
WAITS, MENDED = Finding(SSL, CVE, Standing.waits), Finding(SSL, CVE, Standing.open, "2")
SEEN = Sighting("vm", "CVE-1", "openssl", Severity.high, 100)


def test_a_vulnerability_s_life() -> None:
    assert changed([], {"vm": Exposure((WAITS,))}, {"vm"}, 100) == [SEEN]
    assert changed([SEEN], {"vm": Exposure((WAITS,))}, {"vm"}, 150) == [], "nothing new"
    fixable = replace(SEEN, fixable=200)
    assert changed([SEEN], {"vm": Exposure((MENDED,))}, {"vm"}, 200) == [fixable]
    assert changed([fixable], {"vm": Exposure((MENDED,))}, {"vm"}, 250) == []
    assert changed([fixable], {"vm": Exposure()}, {"vm"}, 300) == [replace(fixable, gone=300)]


def test_nothing_is_gone_because_nobody_knows() -> None:
    assert changed([SEEN], {"vm": Exposure()}, set(), 300) == []
    assert changed([SEEN], {}, set(), 300) == []


def test_another_severity_is_remembered_with_the_first_sighting() -> None:
    worse = replace(MENDED, advisory=replace(CVE, severity=Severity.critical))
    assert changed([SEEN], {"vm": Exposure((worse,))}, {"vm"}, 9) == [
        replace(SEEN, severity=Severity.critical, fixable=9)
    ]
