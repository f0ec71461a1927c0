"""May this box restart now into what it is offered? Decisions; nothing here reads a clock, a file or the network.

In: the permission, as signed; the time, as far as it is proven; up to which number permissions are used up. Out: why
not. Rules: a permission ends at its time, when it is taken back, or when it was used; what ended never counts again,
whatever a clock says later; without a proof of the time none counts; outside of the box's windows none does.

    judge(Permission(lease=4, until=now + 600), now, spent=3)       # Answer("")
"""

import os
import time
from dataclasses import dataclass

from toweros_agent.nouns import Permission

DAY, WEEK = 1440, 10080
"""Minutes."""
TURN, TIME = "it waits for its turn", "it waits for a proof of the time"
WINDOW, OVER = "it waits for its window", "its permission ran out: it waits for another"


@dataclass(frozen=True)
class Answer:
    """`why`: empty, where it may. `over`: the number of the permission that is not used any more from now on."""

    why: str = ""
    over: int = 0


def judge(permission: Permission, now: int | None, spent: int) -> Answer:
    """`now`: Unix seconds; None: nobody proved them."""
    if permission.stopped:
        return Answer(f"it waits: {permission.stopped}", permission.lease)
    if permission.lease <= spent:
        return Answer(TURN)
    if now is None:
        return Answer(TIME)
    if now >= permission.until:
        return Answer(OVER, permission.lease)
    return Answer("" if inside(permission, now) else WINDOW)


def without_line(permission: Permission, now: int) -> Answer:
    """Of a box that nobody but a stick reaches: whoever brings it gives the permission, the windows count."""
    return Answer(permission.stopped or ("" if inside(permission, now) else WINDOW))


def inside(permission: Permission, now: int) -> bool:
    """Whether a window is open, by the box's own wall clock, and no moratorium counts."""
    local = wall_clock(now, permission.zone)
    minute, today = local.tm_wday * DAY + local.tm_hour * 60 + local.tm_min, time.strftime("%Y-%m-%d", local)
    if any(first <= today <= last for first, last in permission.moratoria):
        return False
    windows = permission.windows
    return not windows or any((minute - begin) % WEEK < length for begin, length in windows)


def wall_clock(now: int, zone: str) -> time.struct_time:
    """By a rule such as `CET-1CEST,M3.5.0,M10.5.0/3` (POSIX, TZ), which the C library knows: a box has no zoneinfo."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        return time.localtime(now)
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()
