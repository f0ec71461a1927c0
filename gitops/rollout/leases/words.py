"""The windows of a box in words that it can read without a table of time zones, and its veto.

In: a box as Git has it. Out: members of `apply`: minutes since Monday 00:00 and lengths, first and last dates, and the
rule of its time zone as POSIX has it in TZ, which every zoneinfo file says in its last line (RFC 9636, 3.3).

    words(box)      # {"windows": [[60, 240]], "zone": "CET-1CEST,M3.5.0,M10.5.0/3", "veto": 7200}
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

from gitops.model import Box, Json
from gitops.model.rollout.turns import seconds
from gitops.model.rollout.windows import MINUTES, calendar


def words(box: Box, now: int) -> Json:
    """What its permission says beside its end. Moratoria that are over are left out."""
    times, found = calendar(box.windows, box.moratoria, box.timezone), dict[str, object]()
    weekly = sorted(
        [day * MINUTES + each.begins, each.ends - each.begins] for each in times.windows for day in each.days
    )
    yesterday = datetime.fromtimestamp(now, UTC).date() - timedelta(days=1)
    dates = [[each.first.isoformat(), each.last.isoformat()] for each in times.moratoria if each.last >= yesterday]
    found |= {"windows": weekly} if weekly else {}
    found |= {"moratoria": dates} if dates else {}
    found |= {"zone": rule(box.timezone)} if weekly or dates else {}
    return found | {"veto": seconds(box.veto)}


@lru_cache(maxsize=512)
def rule(zone: str) -> str:
    """The rule of a time zone; where it has none that goes on, what its clocks show today."""
    for data in _files(zone):
        line = data.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", errors="replace")
        if data.startswith(b"TZif") and data.endswith(b"\n") and line:
            return line
    shift = datetime.now(ZoneInfo(zone)).utcoffset() or timedelta()
    minutes = -int(shift.total_seconds()) // 60
    return f"<{zone[:3].lower()}>{'-' if minutes < 0 else ''}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def _files(zone: str) -> list[bytes]:
    found = [path.read_bytes() for folder in TZPATH if (path := Path(folder) / zone).is_file()]
    if not found:
        package, _, name = f"tzdata.zoneinfo.{zone.replace('/', '.')}".rpartition(".")
        try:
            found = [resources.files(package).joinpath(name).read_bytes()]
        except (OSError, ModuleNotFoundError):
            return []
    return found
