"""The first page: one HTML document without scripts; everything a box says is escaped by jinja2's autoescape."""

import time
from collections import Counter
from collections.abc import Callable

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse

from gitops.model import Health, Severity
from gitops.review.words import ago, moment, short
from gitops.rollout.progress import Progress
from gitops.rollout.status import FleetStatus, fleet_status
from gitops.server.boxes.nocs import contacts
from gitops.server.people.shared import Shared
from gitops.settings import Settings
from gitops.store import Store

REFRESH = 30
"""Seconds after which a browser loads the page again."""
EVENTS = 20


def router(shared: Shared) -> APIRouter:
    """GET /."""
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(await shared.get())

    return routes


def maker(store: Store, settings: Settings) -> Callable[[], bytes]:
    """What makes the whole page."""
    template = environment().get_template("index.html")

    def whole() -> bytes:
        now = int(time.time())
        fleet = fleet_status(store, now)
        events = store.events.latest(limit=EVENTS)
        text = template.render(
            fleet=fleet,
            events=events,
            now=now,
            refresh=REFRESH,
            counts=counts(fleet),
            severities=list(Severity),
            nocs=contacts(store, settings),
            rollout=Progress.of(store),
        )
        return text.encode()

    return whole


def counts(fleet: FleetStatus) -> list[tuple[Health, int]]:
    """How many boxes there are per health, those that exist only."""
    numbers = Counter(box.health for box in fleet.boxes)
    return [(health, numbers[health]) for health in Health if numbers[health]]


def environment() -> Environment:
    """Templates with everything escaped."""
    loader = PackageLoader("gitops.server.people")
    env = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    env.filters["ago"] = ago
    env.filters["moment"] = moment
    env.filters["short"] = short
    return env
