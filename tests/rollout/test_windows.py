"""Windows are a box's own wall clock; clocks that change, nights and moratoria included."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gitops.model.rollout.windows import DAYS, Calendar, Moratorium, MoratoriumLine, Window, WindowLine, Zone, calendar

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
    shut = Calendar(("mon-fri 01:00-05:00",), ("2026-12-19..2027-01-03: Christmas",), BERLIN)
    assert shut.opens(at(now)) == at(opens)


@pytest.mark.parametrize(
    ("now", "opens"), [("2026-03-28 12:00", "2026-03-29 10:00"), ("2026-10-24 12:00", "2026-10-25 11:00")]
)
def test_a_window_of_the_day_on_which_the_clocks_change_is_at_noon_by_the_wall(now: str, opens: str) -> None:
    assert Calendar(("sun 12:00-13:00",), (), BERLIN).opens(at(now)) == at(opens)


def test_what_never_opens_says_so() -> None:
    years = tuple(f"{year}-01-01..{year}-12-31: closed" for year in range(2026, 2032))
    shut = Calendar((), years, BERLIN)
    assert shut.opens(at("2026-12-01 12:00")) == 0
    assert shut.closed(at("2026-12-01 12:00")) == "for ever: closed"


def test_a_window_that_the_clocks_leave_out_waits_for_its_next_day() -> None:
    shut = Calendar(("daily 02:00-03:00",), (), BERLIN)
    assert shut.opens(at("2026-03-28 12:00")) == at("2026-03-30 00:00")


def test_a_window_that_comes_twice_is_open_twice() -> None:
    shut = Calendar(("sun 02:00-03:00",), (), BERLIN)
    assert [shut.open(at(f"2026-10-25 0{hour}:30")) for hour in range(3)] == [True, True, False]


def test_what_is_closed_says_until_when_and_why() -> None:
    shut = Calendar((), ("2026-12-20..2027-01-03: Christmas",), BERLIN)
    assert shut.closed(at("2026-12-24 12:00")) == "until 2027-01-04 00:00 (Europe/Berlin): Christmas"
    assert shut.closed(at("2026-12-19 22:59")) == "" == shut.closed(at("2027-01-03 23:00"))
    assert shut.closed(at("2026-12-19 23:00")) and shut.closed(at("2027-01-03 22:59")), "both days are inside"
    assert Calendar(("mon 01:00-02:00",), (), "UTC").closed(at("2026-11-29 12:00")) == "until 2026-11-30 01:00 (UTC)"


@pytest.mark.parametrize(
    "text",
    ["", "mon", "mon 1:00-02:00", "mon 01:00-25:00", "mon 01:60-02:00", "mon 01:00-01:00", "mon 24:00-01:00",
     "mon 01:60-03:00", "xyz 01:00-02:00", "mon-xyz 01:00-02:00", "mon 01:00-02:00 ", "daily-mon 01:00-02:00",
     "mon 01:00-02:00\n", "mon ٠١:00-02:00"],
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


def test_days_go_on_over_sunday() -> None:
    assert Window.parse("fri-mon 10:00-11:00").days == {4, 5, 6, 0}
    assert Window.parse("daily 00:59-24:00").days == set(range(7))


@pytest.mark.parametrize("last", ["2026-01-01", "2027-01-02"])
def test_a_moratorium_of_a_day_and_of_a_year(last: str) -> None:
    assert Moratorium.parse(f"2026-01-01..{last}: why").last == datetime.fromisoformat(last).date()


def test_a_year_and_a_day_is_too_much() -> None:
    with pytest.raises(ValueError, match="a year later"):
        Moratorium.parse("2026-01-01..2027-01-03: why")


@pytest.mark.parametrize(
    ("line", "good", "bad"),
    [
        (WindowLine, "mon 01:00-02:00", "mon"),
        (MoratoriumLine, "2026-12-20..2026-12-24: why", "2026-12-20"),
        (Zone, BERLIN, "Europe/Bonn"),
    ],
)
def test_a_line_of_git_is_checked_and_kept(line: type, good: str, bad: str) -> None:
    assert TypeAdapter[str](line).validate_python(good) == good
    with pytest.raises(ValueError, match="expected"):
        TypeAdapter[str](line).validate_python(bad)


def test_many_boxes_share_a_calendar() -> None:
    said = (("mon 01:00-02:00",), (), BERLIN)
    assert calendar(*said) is calendar(*said) and calendar(*said).zone.key == BERLIN


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
    shut = Calendar((text,), (), zone)
    opens = shut.opens(now)

    assert opens >= now and shut.open(opens)
    assert opens - now <= 15 * 86400
    assert not any(shut.open(time) for time in range(now, opens, 1800)), "there was one before"
