"""The windows of a box, in words that it reads without a table of time zones, say the same there as here."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toweros_agent.nouns import Permission
from toweros_agent.turn.rules import inside

from gitops.model import Box, Spec
from gitops.model.rollout.windows import calendar
from gitops.rollout.leases.words import rule, words

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns")
LINES = ("mon-thu 01:00-05:00", "sat 22:00-06:00", "sun 00:00-24:00", "daily 23:30-00:15", "fri 02:30-03:30")
DATES = ("2026-12-20..2027-01-03: Christmas", "2027-03-28..2027-03-28: the clocks")
YEAR = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())


@settings(max_examples=100)
@given(
    zone=st.sampled_from(ZONES),
    windows=st.lists(st.sampled_from(LINES), max_size=3, unique=True),
    dates=st.lists(st.sampled_from(DATES), max_size=2, unique=True),
    minute=st.integers(0, 400 * 1440),
)
def test_a_box_and_its_controller_mean_the_same_minutes(
    zone: str, windows: list[str], dates: list[str], minute: int
) -> None:
    box, now = (
        Box("a", "vm", Spec("k", ""), windows=(*windows,), moratoria=(*dates,), timezone=zone),
        YEAR + 60 * minute,
    )
    permission = Permission.read({"lease": 1, "until": 2, **words(box, YEAR)})
    assert inside(permission, now) == calendar(box.windows, box.moratoria, zone).open(now)


def test_a_box_without_windows_is_told_its_veto_alone() -> None:
    assert words(Box("a", "vm", Spec("k", "")), YEAR) == {"veto": 7200}
    assert words(Box("a", "vm", Spec("k", ""), veto="none"), YEAR) == {"veto": 0}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Casablanca", "UTC", "Etc/GMT+5"])
def test_every_zone_has_a_rule(zone: str) -> None:
    assert inside(Permission(1, 2, windows=((0, 10080),), zone=rule(zone)), YEAR)
