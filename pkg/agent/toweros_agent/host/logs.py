"""What services and onboot containers said last, out of the logs that init keeps (/run/toweros/logs and log)."""

from collections.abc import Iterable
from pathlib import Path

from toweros_agent.host.disk import last_lines

MAX_BYTES = 4096
"""Of one log: a report has room for several."""
NEWEST = 3


def said_last(folder: Path, names: Iterable[str]) -> str:
    """The last lines of these logs; of the newest ones, when none of them is there (a web page does not say whose)."""
    known = {path.stem: path for path in folder.glob("*.log")}
    found = [known[name] for name in dict.fromkeys(names) if name in known]
    newest = sorted(known.values(), key=_written, reverse=True)[:NEWEST]
    return "\n".join(filter(None, map(_lines, found or newest)))


def onboot_said(folder: Path, name: str) -> str:
    """The same of an onboot container."""
    return _lines(folder / f"onboot-{name}", name)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _lines(path: Path, name: str = "") -> str:
    lines = last_lines(path)[-MAX_BYTES:].splitlines()
    return "\n".join(f"{name or path.stem}: {line}" for line in lines)
