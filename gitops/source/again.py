"""When an answer about the remote is asked for again, though nothing there has changed.

In: the clocks, and from when on a refusal may be none. Out: whether the answer is too old. Rules: a refusal knows when
time itself ends it (a key that becomes valid, a date in the future); a clock that was set asks everything again; so do
`HOLDS` seconds, for what nobody foresaw. In between a poll costs no signature.

    moment = Moment.now(ends=[refusal.again])
    moment.over()                          # at the next polls
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

HOLDS = 600
"""Seconds until the same question is asked again, whatever happens."""
SET = 5
"""Seconds by which the clock may go another way than the processor's own before it counts as set."""


@dataclass(frozen=True)
class Moment:
    """When it was asked, in Unix seconds and by a clock that nobody sets; `ends`: when time changes the answer."""

    wall: float
    steady: float
    ends: float | None = None

    @classmethod
    def now(cls, ends: Iterable[float | None] = ()) -> "Moment":
        """`ends`: of each refusal, when it may be none; what is past has changed nothing."""
        wall = time.time()
        coming = [end for end in ends if end is not None and end > wall]
        return cls(wall, time.monotonic(), min(coming, default=None))

    def over(self) -> bool:
        """Whether it is to be asked again."""
        wall, passed = time.time(), time.monotonic() - self.steady
        was_set = abs(wall - self.wall - passed) > SET
        return was_set or passed >= HOLDS or (self.ends is not None and wall >= self.ends)
