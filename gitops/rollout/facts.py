"""What a box says of itself, in words: what an operator asks first. Pure.

In: the facts of a report (contracts/report), and how long it is up. Out: lines, a name and its words each. Rules: what
it does not say has no line.

    lines({"temperature": 51, "synchronised": False}, 93021)
    # [("uptime", "1 day, 1 h"), ("temperature", "51 °C"), ("clock", "not synchronised")]
"""

from collections.abc import Callable, Mapping
from typing import Any

from gitops.model import Json

UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def lines(facts: Json, uptime: int) -> list[tuple[str, str]]:
    """`uptime`: seconds, 0: nobody knows."""
    said = [("uptime", lasted(uptime))] if uptime else []
    return said + [(WORDS[name][0], WORDS[name][1](facts[name])) for name in WORDS if name in facts]


def lasted(seconds: int) -> str:
    """In two units at most."""
    days, rest = divmod(seconds, 86_400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:
        return f"{days} day{'s' * (days > 1)}, {hours} h"
    return f"{hours} h, {minutes} min" if hours else f"{minutes} min"


def amount(size: int) -> str:
    """Bytes, as people read them."""
    unit, name = next(((unit, name) for unit, name in UNITS if size >= unit), (1, "bytes"))
    return f"{size / unit:.1f} {name}" if unit > 1 else f"{size} bytes"


def _usage(used: Json) -> str:
    return f"{amount(used['used'])} of {amount(used['size'])} ({100 * used['used'] // used['size']} %)"


def _disks(disks: Json) -> str:
    return "\n".join(f"{name}: {_usage(each)}" for name, each in sorted(disks.items()))


def _links(links: Json) -> str:
    return "\n".join(
        f"{name}: {', '.join(each['addresses'])}" + (f" ({each['signal']} dBm)" if "signal" in each else "")
        for name, each in sorted(links.items())
    )


WORDS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "agent": ("agent", str),
    "kernel": ("kernel", str),
    "poll": ("looks", lambda poll: f"every {poll} s"),
    "links": ("links", _links),
    "memory": ("memory", _usage),
    "disks": ("disks", _disks),
    "temperature": ("temperature", lambda degrees: f"{degrees} °C"),
    "synchronised": ("clock", lambda set_: "synchronised" if set_ else "not synchronised"),
}
