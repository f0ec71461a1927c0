"""When a box may be offered something new: windows on its own wall clock, and dates on which nobody works. Pure.

In: lines of Git. Out: whether a time is inside, and the next one that is. Rules: without windows every time is inside;
a window that ends before it begins goes on into the next day, and belongs to the day on which it begins; a moratorium
counts from the first minute of its first day to the last one of its last.

    calendar = Calendar(("mon-thu 01:00-05:00",), ("2026-12-20..2027-01-03: Christmas",), "Europe/Berlin")
    calendar.closed(now)        # "", or "until 2026-12-01 01:00 (Europe/Berlin)"
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, StringConstraints

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 1440
AHEAD = 800
"""Days that the next opening is looked for."""
EXAMPLE, DATES = "`mon-fri 01:00-05:00`, `sat,sun 00:00-24:00`, `daily 22:00-04:00`", "`2026-12-20..2027-01-03: why`"
_WINDOW = re.compile(r"([a-z]{3,5}(?:[,-][a-z]{3})*) ([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})", re.ASCII)
_MORATORIUM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.\.([0-9]{4}-[0-9]{2}-[0-9]{2}): ([^\n]{1,200})", re.ASCII)


@dataclass(frozen=True)
class Window:
    """Minutes since midnight of each of `days` (0: Monday); `ends` may be in the next day."""

    days: frozenset[int]
    begins: int
    ends: int

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Raises ValueError, which says what is expected."""
        match = _WINDOW.fullmatch(text)
        if not match:
            raise ValueError(f"a window such as {EXAMPLE} is expected")
        begins, ends = _minute(match[2], match[3]), _minute(match[4], match[5])
        if begins in (ends, MINUTES):
            raise ValueError("this window has no minute; the whole day is `00:00-24:00`")
        return cls(_days(match[1]), begins, ends + MINUTES * (ends < begins))

    def has(self, local: datetime) -> bool:
        minute, day = local.hour * 60 + local.minute, local.weekday()
        today = day in self.days and self.begins <= minute < self.ends
        return today or ((day - 1) % 7 in self.days and minute + MINUTES < self.ends)


@dataclass(frozen=True)
class Moratorium:
    """From the first day to the last, both inside."""

    first: date
    last: date
    why: str

    @classmethod
    def parse(cls, text: str) -> "Moratorium":
        """Raises ValueError, which says what is expected."""
        match = _MORATORIUM.fullmatch(text)
        if not match:
            raise ValueError(f"dates and a reason such as {DATES} are expected")
        first, last = _date(match[1]), _date(match[2])
        if not timedelta(0) <= last - first <= timedelta(days=366):
            raise ValueError("the first date is the earlier one, and the last at most a year later")
        return cls(first, last, match[3])


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"there is no {text}; dates are such as {DATES}") from error


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > MINUTES:
        raise ValueError(f"there is no {hours}:{minutes}; {EXAMPLE} are windows")
    return minute


def _days(words: str) -> frozenset[int]:
    found: set[int] = set()
    for part in words.split(","):
        first, _, last = ("mon-sun" if part == "daily" else part).partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"{part}: days are {', '.join(DAYS)}, or daily")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 + 7 * (end < begin))}
    return frozenset(found)


def _window(text: str) -> str:
    Window.parse(text)
    return text


def _moratorium(text: str) -> str:
    Moratorium.parse(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"there is no time zone {name!r}: a name such as Europe/Berlin is expected") from error
    return name


WindowLine = Annotated[str, StringConstraints(max_length=60), AfterValidator(_window)]
MoratoriumLine = Annotated[str, StringConstraints(max_length=250), AfterValidator(_moratorium)]
Zone = Annotated[str, StringConstraints(max_length=60), AfterValidator(_zone)]


class Calendar:
    """The windows and moratoria of a box."""

    def __init__(self, windows: tuple[str, ...], moratoria: tuple[str, ...], zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.windows = [Window.parse(text) for text in windows]
        self.moratoria = [Moratorium.parse(text) for text in moratoria]

    def open(self, now: float) -> bool:
        local = datetime.fromtimestamp(now, self.zone)
        inside = not self.windows or any(window.has(local) for window in self.windows)
        return inside and not self._moratorium(local.date())

    def closed(self, now: float) -> str:
        """Until when and why; empty: it is open."""
        if self.open(now):
            return ""
        pause, opens = self._moratorium(datetime.fromtimestamp(now, self.zone).date()), self.opens(now)
        until = f"until {datetime.fromtimestamp(opens, self.zone):%Y-%m-%d %H:%M} ({self.zone.key})" if opens else ""
        return f"{until or 'for ever'}{f': {pause.why}' if pause else ''}"

    def opens(self, now: float) -> int:
        """The first time from `now` on that is inside; 0: none in the next two years."""
        if self.open(now):
            return int(now)
        return min((time for time in self._beginnings(now) if time > now and self.open(time)), default=0)

    def _beginnings(self, now: float) -> Iterator[int]:
        """When a window begins, a moratorium ends, or a clock that was changed has come to one: of the first days that
        have any that is open."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for day in (today + timedelta(days=more) for more in range(-1, AHEAD)):
            times = [
                int(datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC).timestamp()) + 60 * minute
                for minute in {0, *(window.begins % MINUTES for window in self.windows)}
            ]
            found = [moved for time in times for moved in (time - 3600, time, time + 3600) if moved > now]
            if any(self.open(time) for time in found):
                yield from found
                return

    def _moratorium(self, day: date) -> Moratorium | None:
        return next((each for each in self.moratoria if each.first <= day <= each.last), None)


@lru_cache(maxsize=4096)
def calendar(windows: tuple[str, ...], moratoria: tuple[str, ...], zone: str) -> Calendar:
    """Many boxes have the same one."""
    return Calendar(windows, moratoria, zone)
