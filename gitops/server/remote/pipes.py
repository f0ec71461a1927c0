"""One direction of a session: bytes on their way from one side to the other, each delivered once, in order.

In: bytes, and from which one on they are. Out: the same, to whoever asks from which one on; what was asked beyond has
arrived, and is dropped. Rules: nothing is read; at most `ROOM` bytes wait, whoever has more waits; what is sent again
after a cut is taken once. For one event loop.
"""

import asyncio
import contextlib
from collections.abc import Callable

ROOM = 256 << 10
"""Bytes that wait for the other side."""
MOST = 64 << 10
"""Bytes of one answer."""


class Gap(Exception):  # noqa: N818 - an answer, not an accident
    """Bytes are missing before these, or those that are asked for are gone."""


class Pipe:
    """`at`: how many bytes came in all. `over`: nobody waits any more."""

    def __init__(self) -> None:
        self._start, self._data = 0, bytearray()
        self._news = asyncio.Condition()
        self.over = False

    @property
    def at(self) -> int:
        return self._start + len(self._data)

    @property
    def empty(self) -> bool:
        return not self._data

    async def put(self, at: int, data: bytes, wait: float) -> bool:
        """Take `data`, which begins at byte `at`; False: there is no room, ask again. Raises `Gap`."""
        async with self._news:
            if not await self._until(lambda: len(self._data) + len(data) <= ROOM, wait):
                return False
            if at > self.at:
                raise Gap
            self._data += data[self.at - at :]  # what was taken before comes again where its answer was lost
            self._news.notify_all()
        return True

    async def get(self, at: int, wait: float) -> bytes:
        """What there is from byte `at` on; b"": nothing came within `wait` seconds. Raises `Gap`."""
        async with self._news:
            if not self._start <= at <= self.at:
                raise Gap
            del self._data[: at - self._start]
            self._start = at
            self._news.notify_all()
            await self._until(lambda: self.at > at, wait)
            if self._start != at:
                raise Gap
            return bytes(self._data[:MOST])

    async def end(self) -> None:
        """Whoever waits is told that there is nothing to wait for."""
        async with self._news:
            self.over = True
            self._news.notify_all()

    async def _until(self, true: Callable[[], bool], wait: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait_for(lambda: self.over or true()), wait)
        return true()
