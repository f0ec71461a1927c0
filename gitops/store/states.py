"""How the boxes are: one query, for one box or the whole fleet, and no document of a release is parsed.

store.states.all()              # list[BoxState], by name
store.states.one("site-7")      # BoxState, or None
"""

import json
from typing import Any

from sqlalchemy import ColumnElement, FromClause, RowMapping, Select, select, union

from gitops.model import BoxState, Failure, Health, Hold, HoldReason, Phase, Verdict, Version
from gitops.store import tables
from gitops.store.database import Database


class States:
    """The state of each box that is enrolled or asked to run something."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[BoxState]:
        """Of the whole fleet, by name."""
        with self._database.read() as connection:
            return [_state(row) for row in connection.execute(QUERY.order_by(NAMES.c.name)).mappings()]

    def one(self, box: str) -> BoxState | None:
        with self._database.read() as connection:
            row = connection.execute(QUERY.where(NAMES.c.name == box)).mappings().first()
        return _state(row) if row else None


NAMES = union(select(tables.boxes.c.name), select(tables.publications.c.box), select(tables.candidates.c.box)).subquery(
    "names"
)
OFFER = ("release", "content", "revision", "sequence")
REPORT = ("received", "since", "phase", "health", "error", "failures", "failed", "release", "content", "sequence")


def _query() -> Select[Any]:
    """Every box with all that there is of it; no row of a table is NULL in each of its columns."""
    boxes, reports, holds, releases = tables.boxes.c, tables.reports.c, tables.holds.c, tables.releases.c
    columns: list[ColumnElement[Any]] = [NAMES.c.name, boxes.enrolled, boxes.revoked, holds.reason, holds.detail]
    columns += [tables.publications.c[name].label(f"published_{name}") for name in OFFER]
    columns += [tables.candidates.c[name].label(f"candidate_{name}") for name in OFFER]
    columns += [reports[name] for name in REPORT]
    columns += [releases.revision.label("running_revision")]
    rows: FromClause = NAMES
    for table in (tables.boxes, tables.publications, tables.candidates, tables.reports, tables.holds):
        rows = rows.outerjoin(table, table.primary_key.columns[0] == NAMES.c.name)
    rows = rows.outerjoin(tables.releases, releases.release == reports.release)
    return select(*columns).select_from(rows)


QUERY = _query()


def _state(row: RowMapping) -> BoxState:
    published, candidate = _offer(row, "published"), _offer(row, "candidate")
    hold = Hold(HoldReason(row["reason"]), row["detail"]) if row["reason"] else None
    state = (row["name"], row["enrolled"] or 0, row["revoked"] or 0, published, candidate, hold)
    if row["received"] is None:
        return BoxState(*state)
    return BoxState(
        *state,
        received=row["received"],
        since=row["since"],
        running=_running(row, candidate, published),
        phase=Phase(row["phase"]),
        reported=Health(row["health"]),
        error=row["error"],
        failures=_failures(row["failures"]),
        failed=frozenset(row["failed"].split()),
    )


def _offer(row: RowMapping, kind: str) -> Version:
    return Version(*(row[f"{kind}_{name}"] for name in OFFER)) if row[f"{kind}_release"] else Version()


def _running(row: RowMapping, *offers: Version) -> Version:
    """What a box runs; its revision is known while it is offered, and for some time after that."""
    names = {offer.release: offer.revision for offer in offers}
    revision = names.get(row["release"]) or row["running_revision"] or ""
    return Version(row["release"], row["content"], revision, row["sequence"])


def _failures(text: str) -> tuple[Failure, ...]:
    rows = () if text == "[]" else json.loads(text)
    return tuple(Failure(**row | {"verdict": Verdict(row["verdict"])}) for row in rows)
