"""When something is due: words as the library `schedule` reads them, cron lines, zones, and clocks that change."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import schedule
from hypothesis import given
from hypothesis import strategies as some

from gitops.model.updates.when import DAY, HOUR, When

BERLIN = "Europe/Berlin"
WORDS = [
    "hour",
    "6 hours",
    "hour at :15",
    "day",
    "day at 02:30",
    "2 days at 02:30",
    "week",
    "monday at 03:00",
    "sunday",
]
CRON = ["30 2 * * *", "*/20 * * * 1-5", "0 3 1 * *"]
ZONES = ["UTC", BERLIN, "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Antarctica/Troll"]
TIMES = some.integers(1_600_000_000, 2_200_000_000)


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def said(time: int, zone: str = "UTC") -> str:
    return datetime.fromtimestamp(time, ZoneInfo(zone)).strftime("%a %d %b %H:%M")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("day at 02:30", "Thu 19 Nov 02:30"),
        ("day at 13:00", "Wed 18 Nov 13:00"),
        ("2 days at 02:30", "Fri 20 Nov 02:30"),
        ("6 hours", "Wed 18 Nov 18:00"),
        ("hour at :15", "Wed 18 Nov 12:15"),
        ("monday at 03:00", "Mon 23 Nov 03:00"),
        ("wednesday at 12:00", "Wed 25 Nov 12:00"),
        ("wednesday", "Wed 25 Nov 00:00"),
        ("week", "Wed 25 Nov 12:00"),
    ],
)
def test_words_mean_what_they_say(words: str, expected: str) -> None:
    assert said(When(every=words).after(at("2026-11-18 12:00"))) == expected


@pytest.mark.parametrize("words", ["6 hours", "hour at :15", "day at 02:30", "2 days at 02:30", "monday at 03:00"])
def test_words_mean_what_they_mean_to_the_library(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 18, 12, 0, 7)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return now

    monkeypatch.setattr(schedule.datetime, "datetime", Clock)
    number, *rest = words.split()
    every = schedule.Scheduler().every(int(number)) if number.isdigit() else schedule.Scheduler().every()
    unit, *time = rest if number.isdigit() else words.split()
    job = getattr(every, unit)
    job = (job.at(time[1]) if time else job).do(print)
    assert job.next_run.replace(tzinfo=UTC).timestamp() == When(every=words).after(
        int(now.replace(tzinfo=UTC).timestamp())
    )


@given(TIMES, some.sampled_from([*WORDS, *CRON]), some.sampled_from(ZONES), some.integers(0, DAY))
def test_the_next_time_is_always_later_and_the_same_for_whoever_asks(
    last: int, words: str, zone: str, jitter: int
) -> None:
    when = When(cron=words, timezone=zone, jitter=jitter) if words in CRON else When(words, "", zone, jitter)
    again = When(cron=words, timezone=zone, jitter=jitter) if words in CRON else When(words, "", zone, jitter)
    assert last < when.after(last) == again.after(last) <= last + 32 * DAY + jitter


@given(TIMES, some.sampled_from(ZONES), some.integers(0, 59))
def test_a_minute_of_each_hour_is_the_wall_clock_s_wherever_clocks_change_by_half_an_hour(
    last: int, zone: str, minute: int
) -> None:
    time = When(every=f"hour at :{minute:02}", timezone=zone).after(last)
    assert last < time <= last + 2 * HOUR and datetime.fromtimestamp(time, ZoneInfo(zone)).minute == minute


def test_the_hour_in_which_lord_howe_sets_its_clocks_by_thirty_minutes() -> None:
    zone = "Australia/Lord_Howe"
    when = When(every="hour at :15", timezone=zone)
    spring, autumn = at("2026-10-04 01:40", zone), at("2026-04-05 01:20", zone)
    assert said(when.after(spring), zone) == "Sun 04 Oct 03:15"
    assert [said(when.after(autumn + more), zone) for more in (0, 30 * 60, 60 * 60)] == ["Sun 05 Apr 02:15"] * 2 + [
        "Sun 05 Apr 02:15"
    ]


@given(TIMES)
def test_a_time_of_day_comes_once_on_each_day_of_the_zone(start: int) -> None:
    when, days, time = When(every="day at 02:30", timezone=BERLIN), [], start
    for _ in range(400):
        time = when.after(time)
        days.append(datetime.fromtimestamp(time, ZoneInfo(BERLIN)).date())
    assert all(after - before == timedelta(days=1) for before, after in itertools.pairwise(days))


def test_a_time_that_the_clocks_leave_out_comes_an_hour_later_and_one_that_comes_twice_counts_once() -> None:
    when = When(every="day at 02:30", timezone=BERLIN)
    spring = when.after(at("2026-03-28 12:00", BERLIN))
    assert said(spring, BERLIN) == "Sun 29 Mar 03:30"
    autumn = when.after(at("2026-10-24 12:00", BERLIN))
    assert said(autumn, BERLIN) == "Sun 25 Oct 02:30" and when.after(autumn) - autumn == 25 * HOUR


def test_cron_lines_are_of_the_zone() -> None:
    assert said(When(cron="30 2 * * 1", timezone=BERLIN).after(at("2026-11-18 12:00"))) == "Mon 23 Nov 01:30"


def test_jitter_spreads_fleets_and_stays_within_its_bound() -> None:
    plain = When().after(0)
    late = {When(jitter=600, timezone=zone).after(0) - plain for zone in ("UTC", "Etc/UTC", "Etc/GMT", "Etc/UCT")}
    assert len(late) > 1 and all(0 <= each <= 600 for each in late)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (When(every="dya at 02:30"), "`day at 02:30`"),
        (When(every="2 day"), "Use days instead of day"),
        (When(every="day at 25:00"), "hour"),
        (When(every="5 minutes"), "can be repeated"),
        (When(every="2 mondays"), "can be repeated"),
        (When(cron="61 * * * *"), "cron line"),
        (When(cron="0 0 31 2 *"), "cron line"),
        (When(timezone="Europe/Berlyn"), "Europe/Berlyn"),
        (When(timezone="../../etc/passwd"), "time zone"),
    ],
)
def test_words_that_mean_no_time_are_told(when: When, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        when.check()
