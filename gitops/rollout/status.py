"""How the fleet is, as people read it: one row per box, on two axes.

The page, the API, the metrics and `toweros status` all say this. Pure but for `fleet_status`, which reads the store.

    sync    Synced: it runs the content it is asked to run; OutOfSync; Unknown: it never reported, or nothing is asked
    health  what it says (Healthy, Progressing, Degraded), or Suspended (held), Missing (silent too long), Unknown
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gitops.model import Health, Hold, HoldReason, Json, Publication, Report
from gitops.rollout.facts import SILENT
from gitops.rollout.holds import waiting
from gitops.store import BoxRow, Store

CONTROLLER = "controller"
"""The store's document on the last passes: `revision`, `polled`, `error`, `hint`, `since`."""
SYNCS = ("Synced", "OutOfSync", "Unknown")


@dataclass(frozen=True)
class BoxStatus:
    """One box. `wanted` and `running` are revisions (or `release N`); `since` and `seen` Unix seconds, 0: never."""

    box: str
    sync: str
    health: Health
    wanted: str
    running: str
    sequence: int
    phase: str
    since: int
    seen: int
    error: str = ""
    fell_back: str = ""
    fell_back_log: str = ""
    held: str = ""
    revoked: bool = False

    def as_json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True)
class FleetStatus:
    """All boxes, and the controller's own last words."""

    boxes: tuple[BoxStatus, ...]
    controller: Json

    def as_json(self) -> Json:
        return {"controller": self.controller, "boxes": [box.as_json() for box in self.boxes]}


def fleet_status(store: Store, now: int) -> FleetStatus:
    """What the store knows of everything, at `now`."""
    rows = {row.name: row for row in store.boxes.rows()}
    published = store.offers.all_published()
    candidates = store.offers.all_candidates()
    held = waiting(store)
    known, statuses = store.offers.revisions(), []
    for name in sorted({*rows, *published, *candidates}):
        offers = Offers(published.get(name), candidates.get(name), held.get(name))
        statuses.append(box_status(name, rows.get(name), offers, store.boxes.report(name), known, now))
    return FleetStatus(tuple(statuses), store.notes.value(CONTROLLER) or {})


@dataclass(frozen=True)
class Offers:
    """What a box is offered, what waits for it, and why that waits."""

    published: Publication | None = None
    candidate: Publication | None = None
    hold: Hold | None = None


def box_status(
    name: str, row: BoxRow | None, offers: Offers, report: Report | None, known: Mapping[str, str], now: int
) -> BoxStatus:
    """One row. `known`: release digest -> revision."""
    wanted = offers.candidate or offers.published
    last = max(report.failures, key=lambda failure: failure.time, default=None) if report else None
    reason = f"release {last.sequence}: {last.verdict}: {last.reason}" if last else ""
    names = dict(known) | {p.document.sha256: str(p.revision) for p in (offers.published, offers.candidate) if p}
    return BoxStatus(
        box=name,
        sync=_sync(wanted, report),
        health=_health(row, offers, report, now),
        wanted=str(wanted.revision) if wanted else "",
        running=names.get(report.release, f"release {report.sequence}") if report else "",
        sequence=report.sequence if report else 0,
        phase=report.phase if report else "",
        since=row.since if row else 0,
        seen=row.received if row else 0,
        error=report.error if report else "",
        fell_back=reason,
        fell_back_log=last.log if last else "",
        held=str(offers.hold or ""),
        revoked=bool(row and row.revoked),
    )


def _sync(wanted: Publication | None, report: Report | None) -> str:
    if wanted is None or report is None:
        return "Unknown"
    return "Synced" if report.content == wanted.release.content.digest else "OutOfSync"


def _health(row: BoxRow | None, offers: Offers, report: Report | None, now: int) -> Health:
    if row is None or report is None:
        return Health.UNKNOWN
    if now - row.received > SILENT:
        return Health.MISSING
    suspended = offers.hold is not None and offers.hold.reason == HoldReason.SUSPENDED
    return Health.SUSPENDED if suspended else report.health
