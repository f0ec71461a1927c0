"""The reading half of the API: docs/formats.md."""

import time

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.rollout.status import box_status, fleet_status
from gitops.store import Store


def router(store: Store) -> APIRouter:
    """GET /api/v1/boxes, and one of them."""
    routes = APIRouter()

    @routes.get("/api/v1/boxes")
    def boxes() -> Json:
        return fleet_status(store, int(time.time())).as_json()

    @routes.get("/api/v1/boxes/{name}")
    def box(name: str) -> Json:
        return one_box(store, name)

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
