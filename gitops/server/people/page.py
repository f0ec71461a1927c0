"""What people and monitors read: the first page, the reading half of the API, metrics and probes.

The page is one HTML document without scripts; everything a box says is escaped by jinja2's autoescape.
"""

import time
from datetime import UTC, datetime

from fastapi import APIRouter, Response
from jinja2 import Environment, PackageLoader
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from gitops.model import Health, Json
from gitops.rollout.status import SYNCS, FleetStatus, fleet_status
from gitops.settings import Settings
from gitops.store import Store

REFRESH = 30
"""Seconds after which a browser loads the page again."""
EVENTS = 20
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def router(store: Store, settings: Settings) -> APIRouter:
    """Everything that is read."""
    routes = APIRouter()
    template = environment().get_template("index.html")

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> HTMLResponse:
        now = int(time.time())
        fleet = fleet_status(store, now)
        events = store.events.latest(limit=EVENTS)
        return HTMLResponse(template.render(fleet=fleet, events=events, now=now, refresh=REFRESH, counts=counts(fleet)))

    @routes.get("/api/v1/boxes")
    def boxes() -> Json:
        return fleet_status(store, int(time.time())).as_json()

    @routes.get("/api/v1/boxes/{name}")
    def box(name: str) -> Json:
        return one_box(store, name)

    @routes.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(exposition(fleet_status(store, int(time.time()))), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/healthz", response_class=PlainTextResponse, include_in_schema=False)
    def healthz() -> str:
        return "ok\n"

    @routes.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        ready = (store.paths.metadata / "timestamp.json").is_file()
        return JSONResponse({"ready": ready, "repository": bool(settings.repository)}, 200 if ready else 503)

    return routes


def one_box(store: Store, name: str) -> Json:
    """A box with its checks, last update and events.

    Raises:
        HTTPException: 404, there is none of this name.
    """
    found = [box for box in fleet_status(store, int(time.time())).boxes if box.box == name]
    if not found:
        raise HTTPException(404, f"there is no box {name}")
    report = store.boxes.report(name)
    events = [dict(event.__dict__) for event in store.events.latest(name)]
    said = {"checks": list(report.checks), "fetched": report.fetched, "entry": report.entry} if report else {}
    return found[0].as_json() | said | {"events": events}


def counts(fleet: FleetStatus) -> list[tuple[str, int]]:
    """How many boxes there are per health, those that exist only."""
    tally = [(health, sum(box.health == health for box in fleet.boxes)) for health in Health]
    return [(health, number) for health, number in tally if number]


def exposition(fleet: FleetStatus) -> bytes:
    """The Prometheus text format."""
    registry = CollectorRegistry()
    boxes = Gauge("toweros_boxes", "Boxes by sync and health.", ["sync", "health"], registry=registry)
    for sync in SYNCS:
        for health in Health:
            boxes.labels(sync, health).set(sum(b.sync == sync and b.health == health for b in fleet.boxes))
    seen = Gauge("toweros_box_last_report_seconds", "Unix time of a box's last report.", ["box"], registry=registry)
    for box in fleet.boxes:
        seen.labels(box.box).set(box.seen)
    polled = Gauge("toweros_last_poll_seconds", "Unix time of the last look at the repository.", registry=registry)
    polled.set(int(fleet.controller.get("polled") or 0))
    failing = Gauge("toweros_pass_failing", "1 when the last pass failed.", registry=registry)
    failing.set(bool(fleet.controller.get("error")))
    verified = Gauge("toweros_not_verified", "1 while Git offers what may not deploy.", ["reason"], registry=registry)
    alarms = [str(alarm).partition(":")[0] for alarm in fleet.controller.get("alarms", ())]
    for reason in filter(None, (str(fleet.controller.get("reason") or ""), *alarms)):
        verified.labels(reason).set(1)
    return generate_latest(registry)


def environment() -> Environment:
    """Templates with everything escaped."""
    loader = PackageLoader("gitops.server.people")
    env = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    env.filters["ago"] = ago
    env.filters["moment"] = moment
    env.filters["short"] = short
    return env


def ago(then: int, now: int) -> str:
    """`3 min`: how long ago, in the largest unit that fits; `never` for 0."""
    if not then:
        return "never"
    seconds = max(0, now - then)
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), (1, "s"))
    return f"{seconds // size} {unit}"


def moment(then: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if then else ""


def short(revision: str) -> str:
    """`main@1a2b3c4d5e6f`: a revision that fits on a phone."""
    ref, found, commit = revision.partition("@sha1:")
    return f"{ref}@{commit[:12]}" if found else revision
