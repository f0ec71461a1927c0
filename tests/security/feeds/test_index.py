"""The index finds what it is asked for, and is the same for the same advisories."""

import gzip

import pytest

from gitops.errors import DocumentError
from gitops.model import Advisory, Affected, Decision, Ecosystem, Scope, Severity
from gitops.security.feeds.index import build, find

DEBIAN = Scope(Ecosystem.debian, "debian:13")
ONE = Advisory(
    "CVE-1",
    Ecosystem.debian,
    "debian:13",
    "openssl",
    Severity.high,
    (Affected("1", "2"), Affected("3", "", "4")),
    ("5",),
    ("DSA-1",),
    "a title",
    Decision.no_dsa,
)
TWO = Advisory("CVE-2", Ecosystem.debian, "debian:13", "openssl", ranges=(Affected(),))
SIX = Advisory("X-1", Ecosystem.pypi, "", "six")


def test_what_is_asked_for_comes_back_whole_and_nothing_else() -> None:
    data, counts = build([SIX, TWO, ONE, ONE])
    assert counts == {DEBIAN: 2, Scope(Ecosystem.pypi): 1}
    assert find(data, {(DEBIAN, "openssl"), (DEBIAN, "open")}) == {(DEBIAN, "openssl"): (ONE, TWO)}
    assert find(data, {(Scope(Ecosystem.pypi), "six")}) == {(Scope(Ecosystem.pypi), "six"): (SIX,)}


def test_equal_advisories_give_equal_bytes() -> None:
    assert build([ONE, TWO, SIX]) == build([SIX, ONE, TWO])


@pytest.mark.parametrize(
    "data",
    [b"", b"x", gzip.compress(b"debian\tdebian:13\topenssl\t[{]\n", mtime=0), build([ONE])[0][:-9]],
    ids=["empty", "no gzip", "no JSON", "cut"],
)
def test_a_damaged_index_is_told(data: bytes) -> None:
    with pytest.raises(DocumentError, match="damaged"):
        assert find(data, {(DEBIAN, "openssl")}) == "found"
