"""/api/v1/remote/BOX.SERIAL/box and /person: the two ends of a session.

Rules: a side proves itself with each request; what it proved is remembered for the session, so that a request costs no
look into the store; bodies are bounded; a session's beginning and end are events.
"""

import hmac
import time
from typing import Annotated

import structlog
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.exceptions import HTTPException

from gitops.errors import TowerosError
from gitops.model import EventType, Happened
from gitops.server.body import bounded
from gitops.server.boxes import sessions
from gitops.server.boxes.reports import MAX_BODY
from gitops.server.busy import Queue
from gitops.server.remote import admission
from gitops.server.remote.pipes import MOST
from gitops.server.remote.relay import OVER, Relay, Session, Side
from gitops.store import Store

AT_A_TIME = 4
"""Proofs that are looked at at a time: who has none keeps nobody from fetching."""
MOST_WHY = 300
"""Characters of why a side ends."""
At = Annotated[int, Query(ge=0, lt=1 << 53)]
log = structlog.get_logger(__name__)


class Door:
    """Of one server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.relay = Relay(self._began, self._done)
        self._queue = Queue(AT_A_TIME)

    async def enter(self, name: str, side: Side, request: Request) -> Session:
        """Raises as `admission.admitted`, and HTTPException: 410, its time is over; 503, too many are open, or wait."""
        said = request.headers.get("authorization", "")
        known = self.relay.known(name)
        if known and (proven := known.proven.get(side)) and hmac.compare_digest(said.encode(), proven.encode()):
            return known
        box, asked = await self._queue.run(admission.admitted, self._store, name, side, said)
        if not known and (asked.over or time.time() > asked.until):
            raise HTTPException(410, OVER)
        session = self.relay.join(name, box, asked)
        session.proven[side] = said
        return session

    async def _began(self, session: Session) -> None:
        await self._tell(session, f"{session.asked.kind} for {session.asked.who} begins: {session.asked.reason}")

    async def _done(self, session: Session) -> None:
        asked, why = session.asked, f": {session.over}" if session.over else ""
        sent = sum(pipe.at for pipe in session.pipes.values())
        words = f"{asked.kind} for {asked.who} ended after {session.seconds} s, {sent:,} bytes{why}"
        await self._tell(session, words, over=True)

    async def _tell(self, session: Session, words: str, *, over: bool = False) -> None:
        def write() -> None:
            if over:
                sessions.close(self._store, session.box, session.asked.serial)
            self._store.events.add(session.box, EventType.NORMAL, Happened.REMOTE, words)

        try:
            await to_thread.run_sync(write)
        except TowerosError as error:  # the session is as it is
            log.warning("remote.untold", box=session.box, words=words, error=error.message)


def router(door: Door) -> APIRouter:
    """Both ends."""
    routes = APIRouter(include_in_schema=False)
    for side in Side:
        _end(routes, door, side)
    return routes


def _end(routes: APIRouter, door: Door, side: Side) -> None:
    path, relay = f"/api/v1/remote/{{name}}/{side}", door.relay

    @routes.get(path)
    async def read(name: str, request: Request, at: At = 0) -> Response:
        data = await relay.read(await door.enter(name, side, request), side, at)
        headers = {"cache-control": "no-store"}
        if not data:
            return Response(status_code=204, headers=headers)
        return Response(data, media_type="application/octet-stream", headers=headers)

    @routes.post(path, status_code=204)
    async def write(name: str, request: Request, at: At = 0) -> Response:
        session = await door.enter(name, side, request)
        data = await bounded(request, "part of a session", MOST)
        await relay.write(session, side, at, data)
        return Response(status_code=204)

    @routes.delete(path, status_code=204)
    async def end(name: str, request: Request) -> Response:
        session = await door.enter(name, side, request)
        why = (await bounded(request, "reason", MAX_BODY)).decode(errors="replace")[:MOST_WHY]
        await relay.end(session, "".join(each if each.isprintable() else "?" for each in why))
        return Response(status_code=204)
