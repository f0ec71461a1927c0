"""Which release a box is handed that the network starts (ADR 65). Pure.

In: the starts that were handed out, the box's last believed report, the time. Out: which of them count, and whether the
box is handed what ran before. Rules:

- Anybody can ask in a box's name: a MAC is no secret. So a request alone never makes a box fall back for good.
- A start counts once in `APART` seconds: no machine starts more often, and whoever floods us fills nothing.
- A report that the box signed ends the count of all that was handed out before: one of a boot that it was in already
  then shows that it was not the box that asked, a Healthy one of that release that it came up.
- What counted is forgotten after `PAUSE`: the release is tried again.

    starts = counted(starts, heard, now)
    falls_back(starts)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gitops.model.machines.netboot import HandedOut

TRIES = 3
APART = 60
"""Seconds between two starts that count: less than firmware, network and kernel take."""
PAUSE = 6 * 3600
"""Seconds after which a start does not count any more."""


@dataclass(frozen=True)
class Heard:
    """The last believed report of a box: when it came (Unix seconds; 0: none did), of which boot, whether that is
    Healthy, with which release, and what its disk started ("": it runs in memory)."""

    received: int = 0
    boot_id: str = ""
    healthy: bool = False
    release: str = ""
    entry: str = ""


def counted(starts: Sequence[HandedOut], heard: Heard, now: int) -> tuple[HandedOut, ...]:
    """Those of which nothing is known yet but that they were handed out."""
    young = (each for each in starts if 0 <= now - each.time < PAUSE)
    return tuple(each for each in young if not _answered(each, heard))[-TRIES:]


def _answered(start: HandedOut, heard: Heard) -> bool:
    return heard.received > start.time and (heard.healthy or heard.boot_id == start.boot_id)


def with_one_more(starts: tuple[HandedOut, ...], heard: Heard, now: int) -> tuple[HandedOut, ...]:
    """The starts with one that is handed out now, unless the last one was a moment ago."""
    if starts and now - starts[-1].time < APART:
        return starts
    return (*starts, HandedOut(now, heard.boot_id))[-TRIES:]


def falls_back(starts: Sequence[HandedOut]) -> bool:
    """Whether the box is handed what ran before, if anything did."""
    return len(starts) >= TRIES
