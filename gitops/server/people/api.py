"""The reading half of the API: docs/formats.md."""

import functools
import json
import time
from collections.abc import Mapping

import anyio
from anyio import to_thread
from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.rollout.progress import Progress
from gitops.rollout.status import box_status, fleet_status
from gitops.server.boxes.reports import is_name
from gitops.server.people.documents import Document
from gitops.server.people.shared import Shared
from gitops.store import Store
from gitops.store.notes.documents import Exposures, FeedState, as_json


def router(store: Store, shared: Mapping[Document, Shared]) -> APIRouter:
    """GET /api/v1/boxes, one of them, /api/v1/security and /api/v1/rollout."""
    routes = APIRouter()
    at_a_time = anyio.CapacityLimiter(1)

    @routes.get("/api/v1/boxes", response_model=Json)
    async def every_box() -> Response:
        return Response(await shared[Document.boxes].get(), media_type="application/json")

    @routes.get("/api/v1/boxes/{name}", response_model=Json)
    async def box(name: str) -> Response:
        work = functools.partial(one_box, store, name)
        return Response(_text(await to_thread.run_sync(work, limiter=at_a_time)), media_type="application/json")

    @routes.get("/api/v1/security", response_model=Json)
    async def every_advisory() -> Response:
        return Response(await shared[Document.security].get(), media_type="application/json")

    @routes.get("/api/v1/rollout", response_model=Json)
    async def waves() -> Response:
        return Response(await shared[Document.rollout].get(), media_type="application/json")

    return routes


def boxes(store: Store) -> bytes:
    """The whole fleet."""
    return _text(fleet_status(store, int(time.time())).as_json())


def security(store: Store) -> bytes:
    """What is wrong with what runs, and when the feeds were asked."""
    found = store.notes.get(Exposures) or Exposures()
    feeds = {name: as_json(state) for name, state in store.notes.each(FeedState).items()}
    return _text(as_json(found) | {"feeds": feeds})


def rollout(store: Store) -> bytes:
    """How far the newest release is."""
    return _text(Progress.of(store).as_json())


def _text(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


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
