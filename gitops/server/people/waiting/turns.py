"""Whose turn it is to have something made.

In: work, and who wants it. Out: it is done, one at a time; afterwards nobody works for `REST` times as long, so that
boxes are served however many people ask. Rules: what everybody may want (`ALL`) and what somebody asked for in
particular take turns; of those, each address has its own. So ten thousand questions of one address keep neither the
first page nor another address waiting for longer than one of them takes.

    turns = Turns()
    await turns.do(work, "192.0.2.7")
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

REST = 3
ALL = ""
"""Who asks for what is the same for everybody."""


class Turns:
    """Who works when."""

    def __init__(self) -> None:
        self._common = deque[asyncio.Future[None]]()
        self._single: dict[str, deque[asyncio.Future[None]]] = {}
        self._busy, self._common_next, self._rested = False, True, 0.0

    async def do(self, work: Callable[[], None], who: str = ALL) -> None:
        """Raises: what the work raises."""
        await self._turn(who)
        try:
            await asyncio.sleep(max(self._rested - time.monotonic(), 0))
            begun = time.monotonic()
            try:
                await run_in_threadpool(work)
            finally:
                ended = time.monotonic()
                self._rested = ended + REST * (ended - begun)
        finally:
            self._pass_on()

    async def _turn(self, who: str) -> None:
        if not self._busy:
            self._busy = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._common if who == ALL else self._single.setdefault(who, deque())
        line.append(mine)
        try:
            await mine
        except asyncio.CancelledError:  # whoever asked went away
            if mine.done() and not mine.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """To the next who still waits."""
        while (following := self._next()) is not None:
            if not following.done():
                following.set_result(None)
                return
        self._busy = False

    def _next(self) -> asyncio.Future[None] | None:
        first = (self._of_all, self._of_one) if self._common_next else (self._of_one, self._of_all)
        self._common_next = not self._common_next
        return first[0]() or first[1]()

    def _of_all(self) -> asyncio.Future[None] | None:
        return self._common.popleft() if self._common else None

    def _of_one(self) -> asyncio.Future[None] | None:
        """Of the address whose last turn is the longest ago."""
        if not self._single:
            return None
        who = next(iter(self._single))
        line = self._single.pop(who)
        first = line.popleft()
        if line:
            self._single[who] = line
        return first
