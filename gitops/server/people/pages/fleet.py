"""The first page, and that of the sites."""

from dataclasses import replace
from typing import Any

from gitops.model import Json
from gitops.review.words import short
from gitops.rollout.progress import Progress
from gitops.rollout.status import BoxStatus
from gitops.server.boxes.nocs import contacts
from gitops.server.people.documents import Asked
from gitops.server.people.pages.lists import Part
from gitops.server.people.pages.progress import work
from gitops.server.people.pages.rows import FLEET, SITES, Row, Site, chosen, sites
from gitops.server.people.pages.snapshot import Snapshots, told
from gitops.settings import Settings
from gitops.store import Store

TILES = 48
"""Sites of the first page: the others have a page of their own."""
PENDING, EVENTS = 20, 8


class FleetPage:
    """What / and /sites show."""

    def __init__(self, store: Store, settings: Settings, snapshots: Snapshots) -> None:
        self._store, self._settings, self._snapshots = store, settings, snapshots

    def fleet(self, asked: Asked) -> dict[str, Any]:
        """For the template.

        Raises:
            QueryError: the parameters are wrong.
        """
        view = FLEET.read(asked.query)
        snapshot = self._snapshots.get()
        part = Part.of(chosen(snapshot.rows, view), view)
        tiles = sites(snapshot.rows, SITES.read(""))
        return {
            "view": view, "snapshot": snapshot, "fleet": snapshot.fleet, "now": snapshot.now, "sites_all": len(tiles),
            "part": replace(part, rows=told(self._store, part.rows)), "sites": tiles[:TILES] if len(tiles) > 1 else [],
            "pending": snapshot.fleet.pending[:PENDING], "nocs": contacts(self._store, self._settings),
            "rollout": Progress.of(self._store), "work": work(self._store),
            "events": self._store.events.latest(limit=EVENTS),
            "trouble": sum(bool(row.trouble) for row in snapshot.rows), "short": short,
        }  # fmt: skip

    def boxes(self, asked: Asked) -> Json:
        """For JSON: all, or those that the parameters ask for."""
        view = FLEET.read(asked.query)
        snapshot = self._snapshots.get()
        if not asked.query:
            return snapshot.fleet.as_json()
        part = Part.of(chosen(snapshot.rows, view), view)
        status = {box.box: box for box in snapshot.fleet.boxes}
        rows = [_as_json(status[row.box], row) for row in part.rows]
        healths, syncs = dict(snapshot.healths), dict(snapshot.syncs)
        others = replace(snapshot.fleet, boxes=()).as_json()
        return {**others, "boxes": rows, **part.numbers, "health": healths, "sync": syncs}

    def sites(self, asked: Asked) -> dict[str, Any]:
        """For the template.

        Raises:
            QueryError: the parameters are wrong.
        """
        view = SITES.read(asked.query)
        snapshot = self._snapshots.get()
        return {"view": view, "part": Part.of(sites(snapshot.rows, view), view), "now": snapshot.now}

    def sites_json(self, asked: Asked) -> Json:
        part: Part[Site] = self.sites(asked)["part"]
        rows = [
            {"site": site.name, "boxes": site.boxes, "trouble": site.trouble, "health": dict(site.healths)}
            for site in part.rows
        ]
        return {"sites": rows, **part.numbers}


def _as_json(box: BoxStatus, row: Row) -> Json:
    return {**box.as_json(), "role": row.role, "site": row.site, "labels": dict(row.labels)}
