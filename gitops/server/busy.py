"""Who comes when there is too much to do is told so, and when to come again: each at another moment.

In: work, how much of it waits. Out: its result, or 503 with `Retry-After` (RFC 9110, 10.2.3). Rules: nobody is told
the same moment, so that those whom one outage woke do not come back together; an answer costs less than what is refused
(agents heed it: `offer/patience.py`).

    queue = Queue(at_a_time=8, most=500)
    await queue.run(judge, report)
"""

import random
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException

LEAST, MOST = 5, 30
"""Seconds."""
WAIT = 500
"""Of one kind of work that wait for a thread: they hold what was sent, in memory."""
T = TypeVar("T")
Words = TypeVarTuple("Words")


def again() -> dict[str, str]:
    """When to come again."""
    return {"retry-after": f"{random.randint(LEAST, MOST)}"}  # noqa: S311 - nothing is kept secret by it


def refusal() -> bytes:
    """A whole answer, after which the connection ends."""
    lines = ("HTTP/1.1 503 Service Unavailable", f"retry-after: {again()['retry-after']}", "content-length: 0")
    return "\r\n".join((*lines, "connection: close", "", "")).encode()


class Queue:
    """`at_a_time`: threads; `most`: how many may wait for one."""

    def __init__(self, at_a_time: int, most: int = WAIT) -> None:
        self._limiter, self._room = CapacityLimiter(at_a_time), at_a_time + most

    async def run(self, what: Callable[[*Words], T], *words: *Words) -> T:
        """Raises HTTPException 503: too many wait; and whatever `what` raises."""
        if not self._room:
            raise HTTPException(503, "too much waits already", again())
        self._room -= 1
        try:
            return await to_thread.run_sync(what, *words, limiter=self._limiter)
        finally:
            self._room += 1
