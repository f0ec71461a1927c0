"""The first page, and that of the sites."""

from dataclasses import replace
from typing import Any

from gitops.model import Json
from gitops.model.machines.newcomer import code
from gitops.review.words import short
from gitops.rollout import holds
from gitops.rollout.progress import Progress
from gitops.rollout.status import BoxStatus
from gitops.server.boxes.nocs import contacts
from gitops.server.people.documents import Asked
from gitops.server.people.guard.viewer import Viewer
from gitops.server.people.pages.lists import Part
from gitops.server.people.pages.progress import work
from gitops.server.people.pages.rows import FLEET, SITES, Row, Site, chosen, sites
from gitops.server.people.pages.scope import Scope
from gitops.server.people.pages.snapshot import Snapshot, Snapshots, told
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.history.events import Wanted
from gitops.store.notes.adopting import Adoptions
from gitops.store.notes.working import Work
from gitops.workflows.elsewhere.told import copies

NONE = ("nocs", "pending", "named", "places")
TILES = 48
"""Sites of the first page: the others have a page of their own."""
NO_PROGRESS = Progress("", "", (), {})
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
        snapshot = self._snapshots.of(asked.who)
        part = Part.of(chosen(snapshot.rows, view), view)
        tiles = sites(snapshot.rows, SITES.read(""))
        return {
            "view": view, "snapshot": snapshot, "fleet": snapshot.fleet, "now": snapshot.now, "sites_all": len(tiles),
            "part": replace(part, rows=told(self._store, part.rows)), "sites": tiles[:TILES] if len(tiles) > 1 else [],
            "trouble": sum(bool(row.trouble) for row in snapshot.rows), "short": short,
            **self._around(asked.who, snapshot),
        }  # fmt: skip

    def _around(self, who: Viewer, snapshot: Snapshot) -> dict[str, Any]:
        """What is on the page beside the boxes; what is of the whole fleet, for who may see that."""
        scope = Scope.of(self._store, who)
        events = [scope.event(each) for _, each in self._store.events.of(Wanted(scope.asked), EVENTS)]
        if not who.whole:
            none: dict[str, Any] = {name: {} for name in NONE}
            return {"events": events, "rollout": NO_PROGRESS, "work": Work(), "operator": "", **none}
        return {
            "events": events, "nocs": contacts(self._store, self._settings),
            "rollout": Progress.of(self._store, snapshot.names),
            "work": work(self._store), "pending": snapshot.fleet.pending[:PENDING],
            "operator": holds.operator(self._store, holds.ALL), "named": _named(self._store),
            "places": copies(self._store, self._settings),
        }  # fmt: skip

    def boxes(self, asked: Asked) -> Json:
        """For JSON: all, or those that the parameters ask for."""
        view = FLEET.read(asked.query)
        snapshot = self._snapshots.of(asked.who)
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
        snapshot = self._snapshots.of(asked.who)
        return {"view": view, "part": Part.of(sites(snapshot.rows, view), view), "now": snapshot.now}

    def sites_json(self, asked: Asked) -> Json:
        part: Part[Site] = self.sites(asked)["part"]
        rows = [
            {"site": site.name, "boxes": site.boxes, "trouble": site.trouble, "health": dict(site.healths)}
            for site in part.rows
        ]
        return {"sites": rows, **part.numbers}


def _named(store: Store) -> dict[str, str]:
    """By code: what machines are to be that somebody named."""
    return {code(key): str(each) for key, each in (store.notes.get(Adoptions) or Adoptions()).rows.items()}


def _as_json(box: BoxStatus, row: Row) -> Json:
    return {**box.as_json(), "role": row.role, "site": row.site, "labels": dict(row.labels)}
