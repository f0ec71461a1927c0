"""How the boxes are: one query, for one box or the whole fleet, and no document of a release is parsed.

store.states.all()              # list[BoxState], by name
store.states.one("site-7")      # BoxState, or None
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, literal, select, union

from gitops.model import BoxState
from gitops.store import tables
from gitops.store.database import Database
from gitops.store.notes.reported import REPORTED, BoxFacts
from gitops.store.rows.polls import Read, known
from gitops.store.rows.reading import whole


class States:
    """The state of each box that is enrolled or asked to run something."""

    def __init__(self, database: Database) -> None:
        self._database, self._read = database, Read()

    def all(self) -> list[BoxState]:
        """Of the whole fleet, by name."""
        return known(self._database, QUERY, self._read)

    def ahead(self) -> dict[str, int]:
        """Box -> the sequence that it runs, of those that run what is neither offered nor waits, and is not older."""
        found = whole(self._database, AHEAD)
        return {row.box: row.sequence for row in found if isinstance(row.sequence, int)}

    def one(self, box: str) -> BoxState | None:
        return next(iter(known(self._database, QUERY.where(NAMES.c.name == box))), None)


NAMES = union(select(tables.boxes.c.name), select(tables.publications.c.box), select(tables.candidates.c.box)).subquery(
    "names"
)
OFFER = ("release", "content", "revision", "sequence")
REPORT = ("received", "since", "phase", "health", "error", "failures", "failed", "release", "content", "sequence")


def _query() -> Select[Any]:
    """Every box with all that there is of it, and how often it is heard; no row of a table is NULL in each of its
    columns. `rows.states` reads by place."""
    boxes, reports, holds, releases = tables.boxes.c, tables.reports.c, tables.holds.c, tables.releases.c
    columns: list[ColumnElement[Any]] = [NAMES.c.name, boxes.enrolled, boxes.revoked, holds.reason, holds.detail]
    columns += [tables.publications.c[name].label(f"published_{name}") for name in OFFER]
    columns += [tables.candidates.c[name].label(f"candidate_{name}") for name in OFFER]
    columns += [reports[name] for name in REPORT]
    columns += [releases.revision.label("running_revision"), tables.notes.c.document]
    rows: FromClause = NAMES
    for table in (tables.boxes, tables.publications, tables.candidates, tables.reports, tables.holds):
        rows = rows.outerjoin(table, table.primary_key.columns[0] == NAMES.c.name)
    rows = rows.outerjoin(tables.releases, releases.release == reports.release)
    rows = rows.outerjoin(tables.notes, tables.notes.c.name == literal(REPORTED[BoxFacts]) + NAMES.c.name)
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
