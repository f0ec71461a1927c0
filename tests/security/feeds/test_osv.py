"""OSV records of Debian and PyPI, in the shapes that the schema allows."""

from typing import Any

import pytest

from gitops.model import Advisory, Affected, Severity
from gitops.security.feeds.entries import Unread
from gitops.security.feeds.osv import advisories
from tests.kit.feeds import osv

BAD, WORST = (
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
)


def only(record: Any) -> Advisory:
    [found] = advisories(record)
    assert isinstance(found, Advisory), found
    return found


def test_a_record_of_pypi_is_known_by_its_cve() -> None:
    record = osv(
        "GHSA-x", "Typing.Extensions", {"introduced": "0"}, {"fixed": "4.2"}, aliases=["PYSEC-1", "CVE-2026-0001"]
    )
    found = only(record)
    assert (found.id, found.aliases) == ("CVE-2026-0001", ("GHSA-x", "PYSEC-1"))
    assert (found.source, found.ranges) == ("typing-extensions", (Affected("", "4.2"),))


def test_a_record_of_debian_has_its_release_and_source() -> None:
    record = osv(
        "DEBIAN-CVE-2026-0001", "openssl", {"introduced": "0"}, ecosystem="Debian:13", upstream=["CVE-2026-0001"]
    )
    found = only(record | {"affected": [record["affected"][0] | {"versions": ["1", "2"]}]})
    assert (found.id, found.distribution, found.ranges, found.versions) == (
        "CVE-2026-0001",
        "debian:13",
        (Affected(),),
        (),
    )


def test_a_bundle_keeps_its_own_name() -> None:
    record = osv(
        "DSA-1", "linux", {"introduced": "0"}, ecosystem="Debian:13", upstream=["CVE-2026-0001", "CVE-2026-0002"]
    )
    assert only(record).id == "DSA-1"


@pytest.mark.parametrize(
    ("events", "ranges"),
    [
        (
            [{"introduced": "0"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "4"}],
            (Affected("", "2"), Affected("3", "4")),
        ),
        (
            [{"fixed": "4"}, {"introduced": "3"}, {"fixed": "2"}, {"introduced": "0"}],
            (Affected("", "2"), Affected("3", "4")),
        ),
        ([{"introduced": "1"}, {"last_affected": "1"}], (Affected("1", "", "1"),)),
        ([{"introduced": "1.9"}, {"introduced": "1.10"}, {"fixed": "1.11"}], (Affected("1.9", "1.11"),)),
        ([{"introduced": "2"}], (Affected("2"),)),
        ([{"fixed": "2"}, {"introduced": "2"}], (Affected("2"),)),
    ],
)
def test_events_in_any_order_become_ranges(events: list[dict[str, str]], ranges: tuple[Affected, ...]) -> None:
    assert only(osv("X-1", "six", *events)).ranges == ranges


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"severity": [{"type": "CVSS_V3", "score": BAD}]}, Severity.critical),
        ({"severity": [{"type": "CVSS_V4", "score": WORST}]}, Severity.critical),
        ({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/nonsense"}]}, Severity.unknown),
        ({"database_specific": {"severity": "MODERATE"}}, Severity.medium),
        ({"severity": [{"type": "CVSS_V3", "score": "x"}], "database_specific": {"severity": "LOW"}}, Severity.low),
        ({}, Severity.unknown),
    ],
)
def test_severities(more: dict[str, Any], severity: Severity) -> None:
    assert only(osv("X-1", "six", {"introduced": "0"}, **more)).severity is severity


def test_what_was_withdrawn_and_other_ecosystems_are_left_out() -> None:
    assert list(advisories(osv("X-1", "six", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"))) == []
    for ecosystem in ("npm", "Alpine:v3.19", "Debian", "Ubuntu:Pro:22.04:LTS"):
        assert list(advisories(osv("X-1", "six", {"introduced": "0"}, ecosystem=ecosystem))) == []
    git = osv("X-1", "six") | {
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "six"},
                "versions": ["1"],
                "ranges": [{"type": "GIT", "events": [{"introduced": "abc"}]}],
            }
        ]
    }
    assert (only(git).ranges, only(git).versions) == ((), ("1",))


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {"id": 5},
        {"id": "X", "affected": "all"},
        osv("X-1", "six", {"introduced": "one"}, {"fixed": "two"}),
        osv("X-1", "six", {"introduced": "0"}, aliases="CVE"),
        osv("X-1", "six") | {"affected": [{"package": {"ecosystem": "PyPI"}}]},
        osv("X-1", "six") | {"affected": [{"package": {"ecosystem": "PyPI", "name": "six"}, "versions": ["1"] * 6000}]},
    ],
)
def test_a_record_of_another_shape_is_told(record: Any) -> None:
    [found] = advisories(record)
    assert isinstance(found, Unread)
