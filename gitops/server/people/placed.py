"""Metrics by role and site, of the controller itself, and of how long its passes take.

In: how the fleet is, the last pass. Out: families in a registry. Rules: names as Prometheus wants them (base units,
`_info`, `_timestamp_seconds`); what Git can make many of has a bound: of roles and sites together `MOST` have series of
their own, those with most boxes, and all others are one, `other`.
"""

from collections import Counter

from prometheus_client import CollectorRegistry, Gauge, Info

from gitops import __version__
from gitops.model import Health
from gitops.publish.deltas.figures import Figures
from gitops.rollout.status import BoxStatus, FleetStatus
from gitops.store.notes.documents import PassResult

MOST = 200
"""Pairs of a role and a site."""
OTHER = ("other", "other")
MAX_LABEL = 100


def build(registry: CollectorRegistry) -> None:
    """What runs here."""
    Info("toweros_build", "The version that runs here.", registry=registry).info({"version": __version__})


def by_place(fleet: FleetStatus, registry: CollectorRegistry) -> None:
    """How many boxes of each role and site are how."""
    boxes = Gauge("toweros_placed_boxes", "Boxes by role, site and health.", ["role", "site", "health"],
                  registry=registry)  # fmt: skip
    shown = set(dict(Counter(map(_place, fleet.boxes)).most_common(MOST)))
    counts = Counter((_place(box) if _place(box) in shown else OTHER, box.health) for box in fleet.boxes)
    for place in sorted({place for place, _ in counts}):
        for health in Health:
            boxes.labels(*place, health).set(counts[place, health])


def durations(done: PassResult | None, registry: CollectorRegistry) -> None:
    """Of the last pass that did something; nothing before the first."""
    took = Gauge("toweros_pass_stage_duration_seconds", "How long each stage of the last pass on a commit took.",
                 ["stage"], registry=registry)  # fmt: skip
    for stage, seconds in (done.seconds if done else {}).items():
        took.labels(stage).set(seconds)


def deltas(known: Figures, registry: CollectorRegistry) -> None:
    """What they cost, and spare."""
    for name, about, value in (
        ("toweros_deltas", "Deltas that boxes can fetch.", known.count),
        ("toweros_deltas_bytes", "Bytes of all deltas, on disk.", known.size),
        ("toweros_deltas_waiting", "Deltas that are to be made.", known.waiting),
        ("toweros_deltas_work_seconds", "Seconds spent on deltas, ever.", known.seconds),
        ("toweros_deltas_spared_bytes", "Bytes that boxes were spared in the last seven days.", known.spared),
    ):
        Gauge(name, about, registry=registry).set(value)


def _place(box: BoxStatus) -> tuple[str, str]:
    return box.role[:MAX_LABEL], box.site[:MAX_LABEL]
