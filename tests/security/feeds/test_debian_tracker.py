"""Debian's security tracker, in the shapes that it has."""

from typing import Any

import pytest

from gitops.model import Advisory, Affected, Decision, Severity
from gitops.security.feeds.debian_tracker import advisories
from gitops.security.feeds.entries import Unread
from tests.kit.feeds import resolved, tracker, unfixed


def read(row: Any, release: str = "trixie") -> list[Advisory | Unread]:
    return list(advisories("openssl", tracker({"openssl": {"CVE-2026-1": row}}, release)["openssl"]))


def only(row: Any, release: str = "trixie") -> Advisory:
    [found] = read(row, release)
    assert isinstance(found, Advisory), found
    return found


def test_a_fixed_one() -> None:
    found = only(resolved("3.5.9-1", "high"))
    assert (found.id, found.distribution, found.source) == ("CVE-2026-1", "debian:13", "openssl")
    assert (found.ranges, found.severity, found.title) == (
        (Affected(fixed="3.5.9-1"),),
        Severity.high,
        "CVE-2026-1 in openssl",
    )
    assert found.link == "https://www.cve.org/CVERecord?id=CVE-2026-1"


@pytest.mark.parametrize(
    ("row", "severity", "decision"),
    [
        (unfixed(), Severity.unknown, Decision.none),
        (unfixed("unimportant"), Severity.negligible, Decision.none),
        (unfixed("low**"), Severity.low, Decision.none),
        (unfixed("end-of-life"), Severity.unknown, Decision.end_of_life),
        (unfixed(nodsa="Minor issue", nodsa_reason=""), Severity.unknown, Decision.no_dsa),
        (unfixed(nodsa="Minor issue", nodsa_reason="ignored"), Severity.unknown, Decision.ignored),
        (unfixed(nodsa="Minor issue", nodsa_reason="postponed"), Severity.unknown, Decision.postponed),
        ({"status": "undetermined", "urgency": "not yet assigned"}, Severity.unknown, Decision.none),
    ],
)
def test_an_open_one_affects_every_version(row: Any, severity: Severity, decision: Decision) -> None:
    found = only(row)
    assert (found.ranges, found.severity, found.decision) == ((Affected(),), severity, decision)


def test_what_never_was_affected_and_what_is_no_release_of_ours_is_left_out() -> None:
    assert read(resolved("0")) == [] and read(resolved("1"), "sid") == []
    assert only(resolved("1"), "bookworm").distribution == "debian:12"


@pytest.mark.parametrize(
    "row", [{"status": "solved"}, {}, [], None, {"status": "resolved"}, {"status": "open", "urgency": ["high"]}]
)
def test_an_entry_of_another_shape_is_told_and_hides_no_other(row: Any) -> None:
    entries = tracker({"openssl": {"CVE-2026-1": row, "CVE-2026-2": unfixed()}})["openssl"]  # type: ignore[dict-item]
    bad, good = advisories("openssl", entries)
    assert isinstance(bad, Unread) and bad.name == "openssl CVE-2026-1"
    assert isinstance(good, Advisory) and good.id == "CVE-2026-2"


def test_a_title_holds_nothing_that_a_terminal_acts_on() -> None:
    entries = {"CVE-1": {"description": "a\x1b[31m" + "b" * 500 + "\nc", "releases": {"trixie": unfixed()}}}
    [found] = advisories("x", entries)
    assert isinstance(found, Advisory) and found.title.startswith("a [31mb") and len(found.title) == 163
