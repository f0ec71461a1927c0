"""One answer for everybody who asks at the same time.

In: work that takes a while, such as the state of the whole fleet. Out: what it gives, as bytes. Rules: nobody gets what
was begun before they asked; of all that take turns, one works at a time, and afterwards nobody does for `REST` times as
long: however many people ask, boxes are served meanwhile.

    turns = Turns()
    page = Shared(turns, lambda: render(fleet_status(store, now())))
    await page.get()
"""

import asyncio
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from gitops.errors import TowerosError

REST = 3


class Turns:
    """Who works when."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._rested = 0.0

    async def do(self, work: Callable[[], None]) -> None:
        async with self._lock:
            await asyncio.sleep(max(self._rested - time.monotonic(), 0))
            begun = time.monotonic()
            try:
                await run_in_threadpool(work)
            finally:
                ended = time.monotonic()
                self._rested = ended + REST * (ended - begun)


class Shared:
    """Work, and what it gave last."""

    def __init__(self, turns: Turns, work: Callable[[], bytes]) -> None:
        self._turns, self._work = turns, work
        self._lock = asyncio.Lock()
        self._asked, self._covers = 0, 0
        self._outcome: bytes | TowerosError = b""

    async def get(self) -> bytes:
        """Raises: what the work raises; `TowerosError` to all who waited for it."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._covers < mine:
                await self._turns.do(self._do)
        if isinstance(self._outcome, TowerosError):
            raise self._outcome
        return self._outcome

    def _do(self) -> None:
        covers = self._asked
        try:
            self._outcome = self._work()
        except TowerosError as error:
            self._outcome = error
        self._covers = covers
