"""One answer for everybody who asks at the same time.

In: work that takes a while, such as the state of the whole fleet. Out: what it gives, as bytes. Rules: nobody gets what
was begun before they asked; of all that take turns, one works at a time (turns.py).

    page = Shared(turns, lambda: render(asked), "192.0.2.7")
    await page.get()
"""

import asyncio
from collections.abc import Callable

from gitops.errors import TowerosError
from gitops.server.people.waiting.turns import ALL, Turns


class Shared:
    """Work, and what it gave last. `who`: whose turn it is done in."""

    def __init__(self, turns: Turns, work: Callable[[], bytes], who: str = ALL) -> None:
        self._turns, self._work, self._who = turns, work, who
        self._lock = asyncio.Lock()
        self._asked, self._covers = 0, 0
        self._outcome: bytes | TowerosError = b""

    async def get(self) -> bytes:
        """Raises: what the work raises; `TowerosError` to all who waited for it."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._covers < mine:
                await self._turns.do(self._do, self._who)
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
