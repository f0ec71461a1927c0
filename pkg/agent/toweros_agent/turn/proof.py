"""What time it is, by somebody who signs that: a permission that ended must not count because a clock is wrong.

In: the time in a receipt, which the server signed over this very report. Out: the time now, by a clock that counts from
there and that nobody sets. Rules: the answer may have been delayed on its way, so it counts from when it was asked for;
where the server signs no receipts, the box's own clock counts, unless it is behind what was proven.

    proof.heard(1_795_000_000, asked=ticks())
    proof.now(proven=0, receipts=True)          # 1795000007, seven seconds later
"""

import time


def ticks() -> float:
    """Seconds since the machine was started, also while it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Proof:
    """Of one boot."""

    def __init__(self) -> None:
        self._said, self._asked = 0, 0.0

    def heard(self, said: int, asked: float) -> None:
        """`said`: Unix seconds, signed; `asked`: by `ticks`, before the question."""
        self._said, self._asked = said, asked

    def now(self, proven: int, *, receipts: bool) -> int | None:
        """`proven`: a time that has been (history.py). None: nobody can tell."""
        if self._said:
            return max(self._said + int(ticks() - self._asked), 0)
        own = int(time.time())
        return None if receipts or own < proven else own
