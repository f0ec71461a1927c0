"""What was handed out here, told to the origin: so that it holds the box, as if it had counted itself (ADR 85).

In: the counts, how to tell. Out: requests, after a pass in which the origin was there. Rules: the same is told once;
who is not listed by the origin (`nocs`) is not heard, and counts alone.

    Telling(contact.starts).tell(ground.counts(now))
"""

import itertools
import time
from collections.abc import Callable, Mapping

from gitops.model import Json
from gitops.store.notes.netboot import Starts

AT_ONCE = 40
"""Boxes in one request: it has 16 KiB."""
AGAIN = 60.0
"""Seconds until one that was not taken is tried again."""


class Telling:
    """`ask` sends one document, and says what went wrong ("": nothing)."""

    def __init__(self, ask: Callable[[Json], str]) -> None:
        self._ask, self._told, self._last = ask, dict[str, Starts](), float("-inf")

    def tell(self, counts: Mapping[str, Starts]) -> str:
        """What went wrong; "": nothing, or there was nothing to tell."""
        self._told = {box: each for box, each in self._told.items() if box in counts}
        new = {box: each for box, each in counts.items() if self._told.get(box) != each}
        if not new or 0 <= time.monotonic() - self._last < AGAIN:
            return ""
        rows = iter(new.items())
        while some := dict(itertools.islice(rows, AT_ONCE)):
            if problem := self._ask({box: _row(each) for box, each in some.items()}):
                self._last = time.monotonic()
                return problem
            self._told |= some
        return ""


def _row(starts: Starts) -> Json:
    return {"release": starts.release, "starts": [[each.time, each.boot_id] for each in starts.starts]}
