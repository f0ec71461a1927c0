"""Sessions as the update server has them: two pipes, two sides, and an end.

In: what the sides ask, already admitted (admission.py). Out: bytes of the other side; why it is over. Rules: a session
lives in the memory of one server, and a restart ends it; it ends when one side says so or is not heard for `GONE`
seconds, when the box does not come in time, after `IDLE` seconds without a byte, `LONGEST` seconds or `MOST_BYTES`;
what is on its way is delivered first; one that is over stays so, and says why; there are at most `MOST`, and `EACH` of
a box. What is carried is not read: it is SSH, from the person to the box.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from starlette.exceptions import HTTPException

from gitops.model.access.remote import EACH, IDLE, LONGEST, MOST, MOST_BYTES
from gitops.server.remote.pipes import Gap, Pipe
from gitops.store.notes.remote import Asked

T = TypeVar("T")
WAIT = 10.0
"""Seconds that a question waits for bytes, or for room."""
GONE = 45.0
"""Seconds after which a side that asks nothing is gone."""
STEP = 1.0
KEPT = 60.0
"""Seconds for which it is said why a session is over."""
ENDS, OVER = "the server restarts", "this session is over"


class Side(StrEnum):
    """An end of a session."""

    box = "box"
    person = "person"

    @property
    def other(self) -> "Side":
        return Side.person if self == Side.box else Side.box


@dataclass
class Session:
    """One. Pipes are by the side that they come from; `heard`: when a side asked last (monotonic; 0.0: never)."""

    box: str
    asked: Asked
    pipes: dict[Side, Pipe] = field(default_factory=lambda: {side: Pipe() for side in Side})
    heard: dict[Side, float] = field(default_factory=lambda: dict.fromkeys(Side, 0.0))
    joined: float = 0.0
    """When both sides were there; 0.0: not yet."""
    proven: dict[Side, str] = field(default_factory=dict)
    """By what a side proved itself."""
    spoke: float = field(default_factory=time.monotonic)
    over: str | None = None

    @property
    def seconds(self) -> int:
        return int(time.monotonic() - self.joined) if self.joined else 0

    def hear(self, side: Side) -> None:
        self.heard[side] = time.monotonic()
        if not self.joined and all(self.heard.values()):
            self.joined = self.spoke = time.monotonic()

    def overdue(self, now: float, clock: float) -> str:
        """Why it ends now; "": it goes on."""
        late = [side for side, at in self.heard.items() if at and now - at > GONE]
        if late:
            return f"the {late[0]} is not heard any more"
        if not self.joined:
            never = f"{self.box} did not come in time: is it on, and does its agent know remote sessions?"
            return never if clock > self.asked.until else ""
        if now - self.spoke > IDLE:
            return f"nothing was said for {IDLE // 60} minutes"
        if now - self.joined > LONGEST:
            return f"a session has {LONGEST // 60} minutes at most"
        most = max(pipe.at for pipe in self.pipes.values())
        return f"a session carries {MOST_BYTES >> 20} MiB at most" if most > MOST_BYTES else ""


class Relay:
    """Of one server. `done` is told of each session that is over. `ended`: the server ends, and with it all of them."""

    def __init__(self, began: Callable[[Session], Awaitable[None]], done: Callable[[Session], Awaitable[None]]) -> None:
        self._sessions: dict[str, Session] = {}
        self._tasks = set[asyncio.Task[None]]()
        self._began, self._done = began, done
        self.ended = False

    def known(self, name: str) -> Session | None:
        return self._sessions.get(name)

    def join(self, name: str, box: str, asked: Asked) -> Session:
        """The session of this name. Raises HTTPException: 503, there are too many."""
        if known := self._sessions.get(name):
            return known
        alive = Counter(each.box for each in self._sessions.values() if each.over is None)
        if alive.total() >= MOST or alive[box] >= EACH:
            raise HTTPException(503, f"too many sessions are open: {EACH} of a box, {MOST} in all")
        self._sessions[name] = session = Session(box, asked)
        task = asyncio.create_task(self._watch(name, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return session

    async def read(self, session: Session, side: Side, at: int) -> bytes:
        """The other side's bytes from `at` on. Raises HTTPException: 409, they are gone; 410, it is over."""
        session.hear(side)
        data = await _whole(session, session.pipes[side.other].get(at, WAIT))
        if not data and session.over is not None:
            raise HTTPException(410, session.over)
        return data

    async def write(self, session: Session, side: Side, at: int, data: bytes) -> None:
        """Raises HTTPException: 409, bytes are missing; 410, it is over; 503, there is no room."""
        session.hear(side)
        if session.over is not None:
            raise HTTPException(410, session.over)
        session.spoke = time.monotonic()
        if not await _whole(session, session.pipes[side].put(at, data, WAIT)):
            raise HTTPException(503, "the other side does not take what was said")

    async def end(self, session: Session, why: str) -> None:
        """It is over: what was said still arrives."""
        if session.over is None:
            session.over = why
            for pipe in session.pipes.values():
                await pipe.end()

    async def _watch(self, name: str, session: Session) -> None:
        while session.over is None and not session.joined:
            await self._look(session)
        if session.joined:
            await self._began(session)
        while session.over is None:
            await self._look(session)
        await self._done(session)
        until = time.monotonic() + KEPT
        while time.monotonic() < until and not self.ended:
            await asyncio.sleep(STEP)
        del self._sessions[name]

    async def _look(self, session: Session) -> None:
        if why := ENDS if self.ended else session.overdue(time.monotonic(), time.time()):
            await self.end(session, why)
        else:
            await asyncio.sleep(STEP)


async def _whole(session: Session, asked: Awaitable[T]) -> T:
    try:
        return await asked
    except Gap as error:
        if session.over is not None:
            raise HTTPException(410, session.over or OVER) from error
        raise HTTPException(409, "bytes are missing: the session cannot go on") from error
