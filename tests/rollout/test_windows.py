"""Windows are a box's own wall clock; clocks that change, nights and moratoria included."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model.rollout.windows import DAYS, Calendar, Moratorium, Window

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("windows", "time", "is_open"),
    [
        ((), "2026-11-29 12:00", True),
        (("daily 00:00-24:00",), "2026-11-29 23:59", True),
        (("mon-fri 01:00-05:00",), "2026-11-30 00:59", True),  # Monday, 01:59 in Berlin
        (("mon-fri 01:00-05:00",), "2026-11-29 23:59", False),
        (("mon-fri 01:00-05:00",), "2026-11-30 00:00", True),
        (("mon-fri 01:00-05:00",), "2026-11-30 04:00", False),
        (("sun 22:00-04:00",), "2026-11-30 02:59", True),  # of the day before
        (("sun 22:00-04:00",), "2026-11-30 03:00", False),
        (("mon 22:00-04:00",), "2026-11-30 02:59", False),
        (("fri-mon 10:00-11:00",), "2026-11-29 09:30", True),
        (("tue,sun 10:00-11:00",), "2026-11-29 09:30", True),
        (("tue,wed 10:00-11:00", "sun 10:00-11:00"), "2026-11-29 09:30", True),
    ],
)
def test_a_window(windows: tuple[str, ...], time: str, is_open: bool) -> None:
    assert Calendar(windows, (), BERLIN).open(at(time)) == is_open


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-29 12:00", "2026-11-30 00:00"),  # Monday, 01:00 in winter
        ("2026-07-05 12:00", "2026-07-05 23:00"),  # the same in summer
        ("2026-11-30 04:00", "2026-12-01 00:00"),
        ("2026-12-04 12:00", "2026-12-07 00:00"),  # over a weekend
        ("2026-12-18 12:00", "2027-01-04 00:00"),  # over a moratorium
    ],
)
def test_the_next_opening(now: str, opens: str) -> None:
    calendar = Calendar(("mon-fri 01:00-05:00",), ("2026-12-19..2027-01-03: Christmas",), BERLIN)
    assert calendar.opens(at(now)) == at(opens)


def test_a_window_that_the_clocks_leave_out_waits_for_its_next_day() -> None:
    calendar = Calendar(("daily 02:00-03:00",), (), BERLIN)
    assert calendar.opens(at("2026-03-28 12:00")) == at("2026-03-30 00:00")


def test_a_window_that_comes_twice_is_open_twice() -> None:
    calendar = Calendar(("sun 02:00-03:00",), (), BERLIN)
    assert [calendar.open(at(f"2026-10-25 0{hour}:30")) for hour in range(3)] == [True, True, False]


def test_what_is_closed_says_until_when_and_why() -> None:
    calendar = Calendar((), ("2026-12-20..2027-01-03: Christmas",), BERLIN)
    assert calendar.closed(at("2026-12-24 12:00")) == "until 2027-01-04 00:00 (Europe/Berlin): Christmas"
    assert calendar.closed(at("2026-12-19 22:59")) == "" == calendar.closed(at("2027-01-03 23:00"))
    assert Calendar(("mon 01:00-02:00",), (), "UTC").closed(at("2026-11-29 12:00")) == "until 2026-11-30 01:00 (UTC)"


@pytest.mark.parametrize(
    "text",
    ["", "mon", "mon 1:00-02:00", "mon 01:00-25:00", "mon 01:60-02:00", "mon 01:00-01:00", "mon 24:00-01:00",
     "xyz 01:00-02:00", "mon-xyz 01:00-02:00", "mon 01:00-02:00 ", "daily-mon 01:00-02:00", "mon 01:00-02:00\n",
     "mon ٠١:00-02:00"],
)  # fmt: skip
def test_no_window(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|there is no|days are"):
        Window.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "2026-12-20", "2026-12-20..2026-12-19: why", "2026-12-20..2026-12-24", "2026-13-20..2026-12-24: why",
     "2026-02-30..2026-03-03: why",
     "2026-12-20..2028-12-24: why", "2026-12-20..2026-12-24: a\nb"],
)  # fmt: skip
def test_no_moratorium(text: str) -> None:
    with pytest.raises(ValueError, match=r"dates|earlier"):
        Moratorium.parse(text)


@given(
    days=st.lists(st.sampled_from(DAYS), min_size=1, max_size=7),
    begins=st.integers(0, 1439),
    lasts=st.integers(1, 1439),
    zone=st.sampled_from(["UTC", BERLIN, "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    now=st.integers(1_767_000_000, 1_830_000_000),
)
def test_it_opens_when_it_says_and_not_before(days: list[str], begins: int, lasts: int, zone: str, now: int) -> None:
    ends = (begins + lasts) % 1440
    text = f"{','.join(days)} {begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
    calendar = Calendar((text,), (), zone)
    opens = calendar.opens(now)

    assert opens >= now and calendar.open(opens)
    assert opens - now <= 15 * 86400
    assert not any(calendar.open(time) for time in range(now, opens, 1800)), "there was one before"
