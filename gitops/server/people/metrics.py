"""/metrics: the fleet in the Prometheus text format, and the probes.

Rules: a series per box is one number, when it was last heard; everything else is counted.
"""

import time
from collections import Counter
from collections.abc import Iterator

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, PlainTextResponse

from gitops.model import Health, Severity, Sync
from gitops.model.rollout.turns import STATES
from gitops.publish.deltas.figures import figures
from gitops.rollout.status import FleetStatus, fleet_status
from gitops.server.boxes.nocs import contacts
from gitops.server.people import placed
from gitops.server.people.documents import Asked, Document
from gitops.server.people.guard.known import of_fleet
from gitops.server.people.waiting.answers import Answers
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import Exposures, PassResult, Patches, PatchRuns, Planned
from gitops.workflows.elsewhere.told import copies


def router(answers: Answers) -> APIRouter:
    """/metrics: for who may look at the whole fleet, by a token as well."""
    routes = APIRouter(dependencies=[Depends(of_fleet)])

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await answers.get(Asked(Document.metrics), ""), media_type=CONTENT_TYPE_LATEST)

    return routes


def probes(store: Store, settings: Settings) -> APIRouter:
    """/healthz and /readyz, for whoever asks."""
    routes = APIRouter()

    @routes.get("/healthz", response_class=PlainTextResponse, include_in_schema=False)
    def healthz() -> str:
        return "ok\n"

    @routes.get("/readyz", include_in_schema=False)
    def readyz() -> Response:
        ready = (store.paths.metadata / "timestamp.json").is_file()
        return JSONResponse({"ready": ready, "repository": bool(settings.repository)}, 200 if ready else 503)

    return routes


def everything(store: Store, settings: Settings) -> bytes:
    """All of /metrics."""
    fleet = fleet_status(store, int(time.time()))
    return exposition(fleet) + passes(store) + updates(store) + sites(store, settings) + places(store, settings)


def passes(store: Store) -> bytes:
    """What runs here, how long the last pass on a commit took, and what deltas spare."""
    registry = CollectorRegistry()
    placed.build(registry)
    planned = store.notes.get(Planned)
    placed.durations(store.notes.get(PassResult, planned.commit) if planned else None, registry)
    placed.deltas(figures(store, int(time.time())), registry)
    return generate_latest(registry)


def exposition(fleet: FleetStatus) -> bytes:
    """The Prometheus text format."""
    registry = CollectorRegistry()
    boxes = Gauge("toweros_boxes", "Boxes by sync and health.", ["sync", "health"], registry=registry)
    numbers = Counter((box.sync, box.health) for box in fleet.boxes)
    for sync in Sync:
        for health in Health:
            boxes.labels(sync, health).set(numbers[sync, health])
    pending = Gauge("toweros_pending", "Machines that have no name yet, by the role of their medium.", ["role"],
                    registry=registry)  # fmt: skip
    for each in fleet.pending:
        pending.labels(each.role).inc()
    registry.register(_Seen(fleet))
    turns = Gauge("toweros_turns", "Boxes by what they have of what is to come.", ["state"], registry=registry)
    vetoed = Gauge("toweros_vetoed_seconds", "How long boxes were held off by their services, all.",
                   registry=registry)  # fmt: skip
    said = [box.turn for box in fleet.boxes if box.turn]
    for state in STATES:
        turns.labels(state).set(sum(turn.state == state for turn in said))
    vetoed.set(sum(turn.vetoed for turn in said if turn.state == "held"))
    polled = Gauge(
        "toweros_last_poll_timestamp_seconds", "Unix time of the last look at the repository.", registry=registry
    )
    polled.set(fleet.controller.polled)
    failing = Gauge("toweros_pass_failing", "1 when the last pass failed.", registry=registry)
    failing.set(bool(fleet.controller.error))
    warnings = Gauge("toweros_warnings", "What only people can mend, as `toweros status` says.", registry=registry)
    warnings.set(len(fleet.controller.warnings))
    verified = Gauge("toweros_not_verified", "1 while Git offers what may not deploy.", ["reason"], registry=registry)
    alarms = [alarm.reason for alarm in fleet.controller.alarms]
    for reason in filter(None, (fleet.controller.reason, *alarms)):
        verified.labels(reason).set(1)
    placed.by_place(fleet, registry)
    _security(fleet, registry)
    return generate_latest(registry)


class _Seen(Collector):
    """A family of as many series as there are boxes: without an object for each, it takes a third of the time."""

    def __init__(self, fleet: FleetStatus) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[GaugeMetricFamily]:
        name, about = "toweros_box_last_report_timestamp_seconds", "Unix time of a box's last report."
        seen = GaugeMetricFamily(name, about, labels=["box"])
        for box in self._fleet.boxes:
            seen.add_metric([box.box], box.seen)
        yield seen


def updates(store: Store) -> bytes:
    """The schedules of security updates, in the same format."""
    registry = CollectorRegistry()
    runs, patches = (store.notes.get(PatchRuns) or PatchRuns()).rows, store.notes.get(Patches) or Patches()
    last = Gauge(
        "toweros_security_last_run_timestamp_seconds",
        "Unix time of the last look for updates.",
        ["schedule"],
        registry=registry,
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


def sites(store: Store, settings: Settings) -> bytes:
    """When each NOC of the settings was last heard."""
    registry = CollectorRegistry()
    seen = Gauge(
        "toweros_noc_last_contact_timestamp_seconds", "Unix time of a NOC's last word.", ["noc"], registry=registry
    )
    for name, each in contacts(store, settings).items():
        seen.labels(name).set(each.seen if each else 0)
    return generate_latest(registry)


def places(store: Store, settings: Settings) -> bytes:
    """Where else is published: since when each place has all, and whether it fails."""
    registry = CollectorRegistry()
    whole = Gauge(
        "toweros_publish_place_timestamp_seconds", "Unix time of the last pass that left it whole.", ["place"],
        registry=registry,
    )  # fmt: skip
    failing = Gauge("toweros_publish_place_failing", "1 while it is not whole.", ["place"], registry=registry)
    for name, each in copies(store, settings).items():
        whole.labels(name).set(each.done)
        failing.labels(name).set(bool(each.error))
    return generate_latest(registry)


def _security(fleet: FleetStatus, registry: CollectorRegistry) -> None:
    """What is wrong with what runs: by role, and how long it took until it was no more."""
    found = Gauge("toweros_open_advisories", "Known vulnerabilities.", ["role", "severity"], registry=registry)
    fixable = Gauge("toweros_fixable_advisories", "Those that a newer version mends.", ["role"], registry=registry)
    oldest = Gauge(
        "toweros_oldest_advisory_timestamp_seconds", "Unix time of the first sighting.", ["role"], registry=registry
    )
    known = Gauge("toweros_advisories_known", "0 while something is not known.", ["role"], registry=registry)
    for role, exposure in fleet.exposures.roles.items():
        for severity in Severity:
            found.labels(role, severity).set(exposure.open.get(severity, 0))
        fixable.labels(role).set(exposure.fixable)
        oldest.labels(role).set(exposure.oldest)
        known.labels(role).set(not exposure.unknown)
    looked = Gauge(
        "toweros_advisories_looked_timestamp_seconds", "Unix time of the last look at all boxes.", registry=registry
    )
    looked.set(fleet.exposures.made)
    confirmed = Gauge(
        "toweros_feed_confirmed_timestamp_seconds", "Unix time of a feed's last answer.", ["feed"], registry=registry
    )
    failing = Gauge("toweros_feed_failing", "1 while a feed is not believed.", ["feed"], registry=registry)
    for name, state in fleet.feeds.items():
        confirmed.labels(name).set(state.confirmed)
        failing.labels(name).set(bool(state.error))
    registry.register(_Fixed(fleet.exposures))


class _Fixed(Collector):
    """How long vulnerabilities took until they were gone."""

    def __init__(self, exposures: Exposures) -> None:
        self._exposures = exposures

    def collect(self) -> Iterator[SummaryMetricFamily]:
        took = SummaryMetricFamily("toweros_time_to_fix_seconds", "Until they were gone.", labels=["severity"])
        for severity, (count, seconds) in self._exposures.fixed.items():
            took.add_metric([severity], count, seconds)
        yield took
