"""What the machine itself says: memory, file systems, the hottest sensor, whether somebody sets its clock.

In: /proc, /sys, mount points. Out: whole numbers: bytes in steps of a MiB, degrees Celsius; None: there is none.
Rules: what does not fit together, or no machine can have, is not said.
"""

import ctypes
from collections.abc import Iterable, Mapping
from pathlib import Path

from toweros_agent.host import room
from toweros_agent.nouns import Json

STEP = 1 << 20
"""Bytes: what moves by less is no news."""
MAX_SENSORS = 64
MAX_TEXT = 64 << 10
COLDEST, HOTTEST = -60, 150
"""What a sensor that works can say: one that is not wired says -273, 255 or 0xffff."""
TIME_ERROR = 5
"""What adjtimex(2) returns while nobody sets the clock (linux/timex.h)."""
TIMEX = 512
"""Bytes: more than a `struct timex` of any architecture (208)."""


def memory(proc: Path) -> Json | None:
    """`size`, and what of it nobody could have (proc_meminfo(5): MemTotal, MemAvailable)."""
    with (proc / "meminfo").open() as file:
        rows = [line.split() for line in file.read(MAX_TEXT).splitlines()]
    kib = {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
    return _of(kib["MemTotal"] << 10, kib["MemAvailable"] << 10)


def disks(places: Mapping[str, Path]) -> Json | None:
    """By name, those that are file systems of their own."""
    found = {name: amount for name, folder in places.items() if (amount := _of(*room.usage(folder)))}
    return found or None


def temperature(sys: Path) -> int | None:
    """Of the hottest thermal zone or sensor (kernel: sysfs-class-thermal, sysfs-class-hwmon: thousandths)."""
    zones = (sys / "class" / "thermal").glob("thermal_zone*/temp")
    sensors = (sys / "class" / "hwmon").glob("hwmon*/temp*_input")
    found = [degrees for path in _first(zones, sensors) if (degrees := _degrees(path)) is not None]
    return max(found, default=None)


def synchronised() -> bool | None:
    """Whether the kernel was told that its clock is right (chrony's `rtcsync`)."""
    timex = ctypes.create_string_buffer(TIMEX)  # zeros: `modes` 0 changes nothing
    state: int = ctypes.CDLL(None).adjtimex(timex)
    return None if state < 0 else state != TIME_ERROR


def _of(size: int, free: int) -> Json | None:
    return {"used": (size - free) // STEP * STEP, "size": size} if 0 <= free <= size and size else None


def _first(*kinds: Iterable[Path]) -> list[Path]:
    return [path for kind in kinds for path in sorted(kind)[:MAX_SENSORS]]


def _degrees(path: Path) -> int | None:
    try:
        with path.open() as file:
            degrees = int(file.read(16)) // 1000
    except (OSError, ValueError):
        return None
    return degrees if COLDEST < degrees < HOTTEST else None
