"""/metrics: the fleet in the Prometheus text format, and the probes.

Rules: a series per box is one number, when it was last heard; everything else is counted.
"""

import time
from collections import Counter

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse

from gitops.model import Health, Sync
from gitops.rollout.status import FleetStatus, fleet_status
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import Patches, PatchRuns


def router(store: Store, settings: Settings) -> APIRouter:
    """/metrics, /healthz and /readyz."""
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        data = exposition(fleet_status(store, int(time.time()))) + updates(store)
        return Response(data, media_type=CONTENT_TYPE_LATEST)

    @routes.get("/healthz", response_class=PlainTextResponse, include_in_schema=False)
    def healthz() -> str:
        return "ok\n"

    @routes.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        ready = (store.paths.metadata / "timestamp.json").is_file()
        return JSONResponse({"ready": ready, "repository": bool(settings.repository)}, 200 if ready else 503)

    return routes


def exposition(fleet: FleetStatus) -> bytes:
    """The Prometheus text format."""
    registry = CollectorRegistry()
    boxes = Gauge("toweros_boxes", "Boxes by sync and health.", ["sync", "health"], registry=registry)
    numbers = Counter((box.sync, box.health) for box in fleet.boxes)
    for sync in Sync:
        for health in Health:
            boxes.labels(sync, health).set(numbers[sync, health])
    seen = Gauge("toweros_box_last_report_seconds", "Unix time of a box's last report.", ["box"], registry=registry)
    for box in fleet.boxes:
        seen.labels(box.box).set(box.seen)
    polled = Gauge("toweros_last_poll_seconds", "Unix time of the last look at the repository.", registry=registry)
    polled.set(fleet.controller.polled)
    failing = Gauge("toweros_pass_failing", "1 when the last pass failed.", registry=registry)
    failing.set(bool(fleet.controller.error))
    verified = Gauge("toweros_not_verified", "1 while Git offers what may not deploy.", ["reason"], registry=registry)
    alarms = [alarm.reason for alarm in fleet.controller.alarms]
    for reason in filter(None, (fleet.controller.reason, *alarms)):
        verified.labels(reason).set(1)
    return generate_latest(registry)


def updates(store: Store) -> bytes:
    """The schedules of security updates, in the same format."""
    registry = CollectorRegistry()
    runs, patches = (store.notes.get(PatchRuns) or PatchRuns()).rows, store.notes.get(Patches) or Patches()
    last = Gauge(
        "toweros_security_last_run_seconds", "Unix time of the last look for updates.", ["schedule"], registry=registry
    )
    failing = Gauge("toweros_security_run_failing", "1 when the last look failed.", ["schedule"], registry=registry)
    for name, run in runs.items():
        last.labels(name).set(run.finished)
        failing.labels(name).set(bool(run.error))
    proposals = Gauge("toweros_security_proposals", "Sets of updates that are on their way.", registry=registry)
    proposals.set(len(patches.proposals))
    held = Gauge("toweros_security_held", "Sets of updates that failed, and wait for something new.", registry=registry)
    held.set(len(patches.held))
    return generate_latest(registry)
