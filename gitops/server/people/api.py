"""The reading half of the API: docs/formats.md. Each page has a document of the same parameters."""

import functools
import json
import time

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.rollout.choosing.unheard import unheard
from gitops.rollout.places import places
from gitops.rollout.status import box_status, said_of
from gitops.server.boxes.reports import is_name
from gitops.server.people.documents import AbsentError, Asked, Document, QueryError
from gitops.server.people.guard.known import known, of_fleet, viewer
from gitops.server.people.guard.viewer import NOBODY_IN_PARTICULAR, Viewer
from gitops.server.people.page import address, asking, packing
from gitops.server.people.pages.progress import work
from gitops.server.people.pages.scope import Scope
from gitops.server.people.pages.snapshot import NOWHERE
from gitops.server.people.waiting.answers import Answers
from gitops.store import Store
from gitops.store.notes.documents import as_json

PATHS = {
    "/api/v1/boxes": Document.fleet, "/api/v1/sites": Document.sites, "/api/v1/commits": Document.commits,
    "/api/v1/events": Document.activity, "/api/v1/security": Document.advisories, "/api/v1/keys": Document.keys,
    "/api/v1/audit": Document.audit,
}  # fmt: skip


def router(store: Store, answers: Answers) -> APIRouter:
    """GET /api/v1/boxes, one of them, what the rollout and the controller do now, and a document for each page."""
    routes = APIRouter(dependencies=[Depends(known)])
    at_a_time = anyio.CapacityLimiter(1)

    async def made(asked: Asked, request: Request) -> Response:
        try:
            text = await answers.get(asking(asked, request), address(request))
        except QueryError as error:
            raise HTTPException(400, "; ".join(filter(None, (error.message, error.hint)))) from error
        except AbsentError as error:
            raise HTTPException(404, error.message) from error
        return Response(text, media_type="application/json", headers=packing(request))

    def add(path: str, document: Document) -> None:
        @routes.get(path, response_model=Json, name=str(document))
        async def several(request: Request) -> Response:
            return await made(Asked(document), request)

    for path, document in PATHS.items():
        add(path, document)

    @routes.get("/api/v1/boxes/{name}", response_model=Json)
    async def box(name: str, request: Request) -> Response:
        work = functools.partial(one_box, store, name, viewer(request))
        return Response(_text(await to_thread.run_sync(work, limiter=at_a_time)), media_type="application/json")

    @routes.get("/api/v1/commits/{name}", response_model=Json)
    async def commit(name: str, request: Request) -> Response:
        return await made(Asked(Document.commit, name[:200]), request)

    @routes.get("/api/v1/rollout", response_model=Json, dependencies=[Depends(of_fleet)])
    async def waves(request: Request) -> Response:
        return Response(await answers.get(Asked(Document.rollout), address(request)), media_type="application/json")

    progress = functools.partial(_progress, store, at_a_time)
    routes.get("/api/v1/progress", response_model=Json, dependencies=[Depends(of_fleet)])(progress)
    return routes


async def _progress(store: Store, at_a_time: anyio.CapacityLimiter) -> Response:
    made = await to_thread.run_sync(work, store, limiter=at_a_time)
    return Response(_text(as_json(made)), media_type="application/json")


def _text(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def one_box(store: Store, name: str, who: Viewer = NOBODY_IN_PARTICULAR) -> Json:
    """A box with its place, checks, last update and events, as far as somebody may see them.

    Raises:
        HTTPException: 404, there is none of this name.
    """
    scope = Scope.of(store, who)
    now = int(time.time())
    status = box_status(store, name, now) if is_name(name) and scope.has(name) else None
    if status is None:
        raise HTTPException(404, f"there is no box {name}")
    report, place = store.boxes.report(name), places(store).get(name, NOWHERE)
    events = [dict(event.__dict__) for event in store.events.latest(name)]
    said = {"checks": list(report.checks), "fetched": report.fetched, "entry": report.entry} if report else {}
    boot = {"boot": status.boot} if status.boot else {}
    silent = {"unheard": found.as_json()} if (found := unheard(store, status, now)) else {}
    where = {"role": place.role, "site": place.site, "labels": dict(place.labels)}
    whole = status.as_json() | said | boot | where | silent | said_of(store, name) | {"events": events}
    return scope.json(whole)
