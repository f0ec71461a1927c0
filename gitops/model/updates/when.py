"""When something is due again: times in the words of the library `schedule`, or a cron line; in a time zone. Pure.

In: words, and when it was done last (Unix seconds). Out: the next time, always later than that. Rules: a time of day is
the zone's wall clock; one that a change of the clocks leaves out comes as much later, and one that comes twice counts
once; jitter moves a time by a number of seconds that follows from the time itself, so that whoever asks gets the same.

    When(every="day at 02:30", timezone="Europe/Berlin").after(1_795_000_000)
    When(cron="30 2 * * 1-5", jitter=600).after(1_795_000_000)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from schedule import Job, ScheduleError

from gitops.model.digest import sha256

HOUR, DAY = 3600, 86400
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNITS = ("hour", "hours", "day", "days", "week", "weeks", *DAYS)
EXAMPLES = "`day at 02:30`, `6 hours`, `hour at :15`, `monday at 03:00`"


@dataclass(frozen=True)
class When:
    """Either `every` or `cron` counts: `cron`, where it is not empty. `jitter`: at most so many seconds later."""

    every: str = "day at 02:30"
    cron: str = ""
    timezone: str = "UTC"
    jitter: int = 0

    def check(self) -> None:
        """Raises ValueError, which says what is wrong with the words."""
        self.after(0)

    def after(self, last: int) -> int:
        """The first time that is later than `last`.

        Raises:
            ValueError: see `check`.
        """
        zone = _zone(self.timezone)
        time = _cron(self.cron, last, zone) if self.cron else _human(self.every, last, zone)
        return time + (int(sha256(f"{self}{time}".encode())[:8], 16) % (self.jitter + 1))

    def __str__(self) -> str:
        words = f"cron {self.cron}" if self.cron else f"every {self.every}"
        return f"{words} ({self.timezone})"


DAILY = When()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"there is no time zone {name!r}: a name such as Europe/Berlin is expected") from error


def _cron(line: str, last: int, zone: tzinfo) -> int:
    try:
        return int(next(CronSim(line, datetime.fromtimestamp(last, zone))).timestamp())
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it never comes"
        message = f"no cron line ({why}): minute, hour, day, month, weekday are expected, such as `30 2 * * *`"
        raise ValueError(message) from error


def _human(words: str, last: int, zone: tzinfo) -> int:
    job = _job(words)
    if job.unit == "hours":
        begin = last + (job.interval - 1) * HOUR
        return _minute(begin, job.at_time.minute, zone) if job.at_time else begin + HOUR
    days = job.interval * (7 if job.unit == "weeks" else 1)
    if job.at_time is None and job.start_day is None:
        return last + days * DAY
    return next(time for time in _times_of_day(job, _local(last, zone).date(), zone) if time > last)


def _minute(begin: int, minute: int, zone: tzinfo) -> int:
    """Minute by minute: where clocks change by half an hour, a wall clock's minute comes early or late."""
    first = begin - begin % 60 + 60
    return next(time for time in range(first, first + DAY, 60) if _local(time, zone).minute == minute)


def _times_of_day(job: Job, today: date, zone: tzinfo) -> Iterator[int]:
    """Every time of day that counts, from today on; with an interval, from so many days on."""
    at = (job.at_time.hour, job.at_time.minute) if job.at_time else (0, 0)
    first = 0 if job.interval == 1 else job.interval
    for day in (today + timedelta(days=first + more) for more in range(9)):
        if job.start_day is None or DAYS[day.weekday()] == job.start_day:
            # By UTC and back: a time that the zone leaves out becomes the one an hour later.
            yield int(datetime(day.year, day.month, day.day, *at, tzinfo=zone).astimezone(UTC).timestamp())


def _local(time: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(time, zone)


@lru_cache(maxsize=64)
def _job(words: str) -> Job:
    """What the library makes of the words. It is asked for their meaning alone: its jobs know no clock but the
    process's own, and forget what is due when that ends."""
    match = re.fullmatch(r"(?:([1-9][0-9]{0,2}) )?([a-z]+)(?: at ([0-9:]{2,5}))?", words)
    if not match or match[2] not in UNITS:
        raise ValueError(f"no time that can be repeated: {EXAMPLES} are")
    try:
        job = getattr(Job(int(match[1] or 1)), match[2])
        made: Job = job.at(match[3]) if match[3] else job
    except (ScheduleError, TypeError) as error:
        raise ValueError(f"{' '.join(str(error).split())}; {EXAMPLES} are understood") from error
    return made
