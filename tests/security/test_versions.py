"""Debian's order of versions, as deb-version(7) has it."""

import pytest

from gitops.model import Ecosystem
from gitops.security.versions import is_older


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("3.5.7-1", "3.5.9-1"),
        ("1.2-1~deb13u1", "1.2-1"),
        ("1.2-1", "1.2-1+deb13u1"),
        ("2.9", "2.10"),
        ("9.9-1", "1:0.1-1"),
    ],
)
def test_the_older_version_of_two_is_known(older: str, newer: str) -> None:
    assert is_older(Ecosystem.debian, older, newer)
    assert not is_older(Ecosystem.debian, newer, older)
    assert not is_older(Ecosystem.debian, newer, newer)


def test_what_has_no_order_is_never_taken_for_newer() -> None:
    with pytest.raises(ValueError, match="no order"):
        is_older(Ecosystem.rpm, "1", "2")
