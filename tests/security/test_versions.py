"""The order of versions, as deb-version(7) and PEP 440 have it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model import Ecosystem
from gitops.security.versions import is_older

VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,8}(-[0-9a-z+~]{1,5})?", fullmatch=True)


@pytest.mark.parametrize(
    ("ecosystem", "older", "newer"),
    [
        (Ecosystem.debian, "3.5.7-1", "3.5.9-1"),
        (Ecosystem.debian, "1.2-1~deb13u1", "1.2-1"),
        (Ecosystem.debian, "1.2-1", "1.2-1+deb13u1"),
        (Ecosystem.debian, "2.9", "2.10"),
        (Ecosystem.debian, "9.9-1", "1:0.1-1"),
        (Ecosystem.pypi, "1.0rc1", "1.0"),
        (Ecosystem.pypi, "1.0", "1.0.post1"),
        (Ecosystem.pypi, "50.0.2", "50.0.10"),
    ],
)
def test_the_older_version_of_two_is_known(ecosystem: Ecosystem, older: str, newer: str) -> None:
    assert is_older(ecosystem, older, newer)
    assert not is_older(ecosystem, newer, older)
    assert not is_older(ecosystem, newer, newer)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_any_two_versions_have_one_order_and_three_have_too(one: str, two: str, three: str) -> None:
    def older(a: str, b: str) -> bool:
        return is_older(Ecosystem.debian, a, b)

    assert not (older(one, two) and older(two, one))
    if older(one, two) and older(two, three):
        assert older(one, three)


@pytest.mark.parametrize(
    ("ecosystem", "version"),
    [
        (Ecosystem.rpm, "1"),
        (Ecosystem.alpine, "1-r0"),
        (Ecosystem.debian, ""),
        (Ecosystem.debian, "1 2"),
        (Ecosystem.debian, "9" * 300),
        (Ecosystem.pypi, "not a version"),
    ],
)
def test_what_has_no_order_is_never_taken_for_newer(ecosystem: Ecosystem, version: str) -> None:
    with pytest.raises(ValueError, match="version"):
        is_older(ecosystem, version, "1")
