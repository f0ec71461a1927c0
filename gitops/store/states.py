"""How the boxes are: one query, for one box or the whole fleet, and no document of a release is parsed.

store.states.all()              # list[BoxState], by name
store.states.one("site-7")      # BoxState, or None
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, Select, select, union

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
            return [_state(row) for row in connection.execute(QUERY.order_by(NAMES.c.name))]

    def ahead(self) -> dict[str, int]:
        """Box -> the sequence that it runs, of those that run what is neither offered nor waits, and is not older."""
        with self._database.read() as connection:
            return {row.box: row.sequence for row in connection.execute(AHEAD)}

    def one(self, box: str) -> BoxState | None:
        with self._database.read() as connection:
            row = connection.execute(QUERY.where(NAMES.c.name == box)).first()
        return _state(row) if row else None


NAMES = union(select(tables.boxes.c.name), select(tables.publications.c.box), select(tables.candidates.c.box)).subquery(
    "names"
)
NONE = Version()
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
SAID, OFFERED, NEXT = tables.reports.c, tables.publications.c, tables.candidates.c
AHEAD = (
    select(SAID.box, SAID.sequence)
    .join_from(tables.reports, tables.publications, SAID.box == OFFERED.box)
    .outerjoin(tables.candidates, SAID.box == NEXT.box)
    .where(SAID.sequence >= OFFERED.sequence, SAID.content != "", SAID.content != OFFERED.content)
    .where((NEXT.content.is_(None)) | (NEXT.content != SAID.content))
)


def _state(row: Row[Any]) -> BoxState:
    """By place, not by name: this is done for every box in every pass."""
    columns: tuple[Any, ...] = tuple(row)
    name, enrolled, revoked, reason, detail, *rest = columns
    published, candidate = _version(rest[0:4]), _version(rest[4:8])
    hold = Hold(HoldReason(reason), detail) if reason else None
    state = (name, enrolled or 0, revoked or 0, published, candidate, hold)
    received, since, phase, health, error, failures, failed, release, content, sequence, revision = rest[8:]
    if received is None:
        return BoxState(*state)
    # The revision of what runs is known while it is offered, and for some time after that.
    names = {published.release: published.revision, candidate.release: candidate.revision}
    running = Version(release, content, names.get(release) or revision or "", sequence)
    heard = (Phase(phase), Health(health), error, _failures(failures), frozenset(failed.split()))
    return BoxState(*state, received, since, running, *heard)


def _version(row: Sequence[Any]) -> Version:
    return Version(*row) if row[0] else NONE


def _failures(text: str) -> tuple[Failure, ...]:
    rows = () if text == "[]" else json.loads(text)
    return tuple(Failure(**row | {"verdict": Verdict(row["verdict"])}) for row in rows)
