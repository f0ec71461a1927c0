"""The reading half of the API: docs/formats.md."""

import functools
import json
import time

import anyio
from anyio import to_thread
from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.rollout.status import box_status, fleet_status
from gitops.server.boxes.reports import is_name
from gitops.server.people.shared import Shared, Turns
from gitops.store import Store
from gitops.store.notes.documents import Exposures, FeedState, as_json


def router(store: Store, turns: Turns) -> APIRouter:
    """GET /api/v1/boxes, one of them, and /api/v1/security."""
    routes = APIRouter()
    fleet = Shared(turns, lambda: _text(fleet_status(store, int(time.time())).as_json()))
    advisories = Shared(turns, lambda: _text(_security(store)))
    at_a_time = anyio.CapacityLimiter(1)

    @routes.get("/api/v1/boxes", response_model=Json)
    async def boxes() -> Response:
        return Response(await fleet.get(), media_type="application/json")

    @routes.get("/api/v1/boxes/{name}", response_model=Json)
    async def box(name: str) -> Response:
        work = functools.partial(one_box, store, name)
        return Response(_text(await to_thread.run_sync(work, limiter=at_a_time)), media_type="application/json")

    @routes.get("/api/v1/security", response_model=Json)
    async def security() -> Response:
        return Response(await advisories.get(), media_type="application/json")

    return routes


def _text(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _security(store: Store) -> Json:
    found = store.notes.get(Exposures) or Exposures()
    feeds = {name: as_json(state) for name, state in store.notes.each(FeedState).items()}
    return as_json(found) | {"feeds": feeds}


def one_box(store: Store, name: str) -> Json:
    """A box with its checks, last update and events.

    Raises:
        HTTPException: 404, there is none of this name.
    """
    status = box_status(store, name, int(time.time())) if is_name(name) else None
    if status is None:
        raise HTTPException(404, f"there is no box {name}")
    report = store.boxes.report(name)
    events = [dict(event.__dict__) for event in store.events.latest(name)]
    said = {"checks": list(report.checks), "fetched": report.fetched, "entry": report.entry} if report else {}
    boot = {"boot": status.boot} if status.boot else {}
    return status.as_json() | said | boot | {"events": events}
