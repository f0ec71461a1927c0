"""/live: tells a page that is open that something happened, as server-sent events.

In: nothing but the connection. Out: a word, which is another one when something happened (`tick`); the page fetches
itself again then. Rules: one question every `LOOK` seconds, whoever listens, and none when nobody does; at most `MOST`
listen, `EACH` of one address; whoever listens for `LONGEST` seconds is let go, and comes again; a server that ends lets
go of everybody at once. What happened is not in it: that is what pages are for.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gitops.errors import TowerosError
from gitops.server.bounds import holder
from gitops.server.busy import again
from gitops.server.people.documents import Asked, Document
from gitops.server.people.guard.known import known, viewer
from gitops.server.people.guard.viewer import NOBODY_IN_PARTICULAR, Viewer
from gitops.server.people.page import address
from gitops.server.people.waiting.answers import Answers

LOOK, LONGEST, FORGOTTEN = 5.0, 300.0, 60.0
STEP = 0.5
"""Seconds after which a listener looks whether the server ends."""
MOST, EACH = 100, 10
TICK = Asked(Document.tick)


@dataclass
class Word:
    """What those hear who see the same, and when it was looked for (monotonic seconds)."""

    text: str = ""
    looked: float = float("-inf")


class Live:
    """Of one server. `ended`: let go of everybody."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._listeners = Counter[str]()
        self._lock = asyncio.Lock()
        self._words = dict[Viewer, Word]()
        self.ended = False

    async def word(self, who: Viewer = NOBODY_IN_PARTICULAR) -> str:
        """The newest for who sees so much; the last one while that cannot be had."""
        async with self._lock:
            now = time.monotonic()
            self._words = {each: word for each, word in self._words.items() if now - word.looked < FORGOTTEN}
            word = self._words.setdefault(who, Word())
            if now - word.looked >= LOOK:
                with contextlib.suppress(TowerosError):
                    word.text = (await self._answers.get(TICK._replace(who=who), "")).decode()
                word.looked = time.monotonic()
        return word.text

    async def listen(
        self, gone: Callable[[], Awaitable[bool]], who: Viewer = NOBODY_IN_PARTICULAR
    ) -> AsyncIterator[bytes]:
        """Until the server ends, whoever listens is gone (not every server of ASGI says so when we send), or long
        enough."""
        until, last = time.monotonic() + LONGEST, ""
        yield b"retry: 5000\n\n"
        while not self.ended and time.monotonic() < until and not await gone():
            word = await self.word(who)
            if word != last:
                last = word
                yield f"event: tick\nid: {word}\ndata: {word}\n\n".encode()
            await asyncio.sleep(STEP)

    def join(self, who: str) -> None:
        """Raises:
        HTTPException: 503, too many listen.
        """
        if self._listeners[who] >= EACH or self._listeners.total() >= MOST:
            raise HTTPException(503, "too many pages listen", again())
        self._listeners[who] += 1

    def leave(self, who: str) -> None:
        """It is over, in whichever way."""
        self._listeners[who] -= 1
        if not self._listeners[who]:
            del self._listeners[who]


class Stream(StreamingResponse):
    """`over` is called at its end, also where whoever asked is gone before its first word: `listen` never begins then,
    and what it would do at its end is never done."""

    def __init__(self, words: AsyncIterator[bytes], over: Callable[[], None]) -> None:
        super().__init__(words, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over()


def router(live: Live) -> APIRouter:
    """GET /live."""
    routes = APIRouter(dependencies=[Depends(known)])

    @routes.get("/live", include_in_schema=False)
    async def stream(request: Request) -> StreamingResponse:
        who = holder(address(request)) or "?"
        live.join(who)
        return Stream(live.listen(request.is_disconnected, viewer(request).nameless), partial(live.leave, who))

    return routes
