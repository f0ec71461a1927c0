"""The reading half of the API: docs/formats.md."""

import time

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.rollout.status import box_status, fleet_status
from gitops.store import Store
from gitops.store.notes.documents import Exposures, FeedState, as_json


def router(store: Store) -> APIRouter:
    """GET /api/v1/boxes, one of them, and /api/v1/security."""
    routes = APIRouter()

    @routes.get("/api/v1/boxes")
    def boxes() -> Json:
        return fleet_status(store, int(time.time())).as_json()

    @routes.get("/api/v1/boxes/{name}")
    def box(name: str) -> Json:
        return one_box(store, name)

    @routes.get("/api/v1/security")
    def security() -> Json:
        found = store.notes.get(Exposures) or Exposures()
        feeds = {name: as_json(state) for name, state in store.notes.each(FeedState).items()}
        return as_json(found) | {"feeds": feeds}

    return routes


def one_box(store: Store, name: str) -> Json:
    """A box with its checks, last update and events.

    Raises:
        HTTPException: 404, there is none of this name.
    """
    status = box_status(store, name, int(time.time()))
    if status is None:
        raise HTTPException(404, f"there is no box {name}")
    report = store.boxes.report(name)
    events = [dict(event.__dict__) for event in store.events.latest(name)]
    said = {"checks": list(report.checks), "fetched": report.fetched, "entry": report.entry} if report else {}
    return status.as_json() | said | {"events": events}
