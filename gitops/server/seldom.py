"""A line of the log for what others can cause at will: they must not fill it.

In: what happened, of whom and why. Out: the first of a kind (who, why) at once; what follows is counted, and told by
one line a minute, until a minute brings nothing of it. Rules: `MOST` kinds are told apart, all further ones are
"others" by their reason; reasons come from us, so neither lines nor memory grow with what is sent.

    refused = Seldom("report.refused")
    refused.warn("demo-1", "the signature is ...")
    # a minute later: report.refused.again count=5200 of={"demo-1": 5000, "others": 200}
"""

import threading
from collections import Counter
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

EVERY = 60.0
"""Seconds between two lines that sum up."""
MOST = 32
OTHERS = "others"
NAMED = 5
"""Who is named in a line that sums up: those with most."""


def later(seconds: float, what: Callable[[], None]) -> None:
    """In a thread that keeps no process from ending."""
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()


class Seldom:
    """The lines of one `event`. `wait` calls a function after some seconds."""

    def __init__(self, event: str, wait: Callable[[float, Callable[[], None]], None] = later) -> None:
        self._event, self._wait, self._lock = event, wait, threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def warn(self, box: str, reason: str) -> None:
        """Tell it now, if it is the first of its kind; else count it."""
        with self._lock:
            waits, kind = bool(self._counts), self._kind(box, reason)
            first = kind not in self._counts
            self._counts[kind] = 0 if first else self._counts[kind] + 1
        if first:
            log.warning(self._event, box=kind[0], reason=reason)
        if not waits:
            self._wait(EVERY, self._sum_up)

    def _kind(self, box: str, reason: str) -> tuple[str, str]:
        room = len(self._counts) < MOST or (box, reason) in self._counts
        return (box if room else OTHERS, reason)

    def _sum_up(self) -> None:
        with self._lock:
            counted = {kind: count for kind, count in self._counts.items() if count}
            self._counts = dict.fromkeys(counted, 0)
        if counted:
            told = Counter[str]()
            for (box, _), count in counted.items():
                told[box] += count
            log.warning(f"{self._event}.again", count=told.total(), of=dict(told.most_common(NAMED)))
            self._wait(EVERY, self._sum_up)
