"""When each vulnerability was first seen in a role's boxes, when it could be fixed, and when no box had it any more.

store.sightings.current()           # those that are there now, and
store.sightings.save(changed)
store.sightings.fixed()             # how many are gone, and how long that took, by severity
"""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import case, func, select

from gitops.model import Severity, Sighting
from gitops.store import tables
from gitops.store.database import Database, inserter
from gitops.store.lease import Lease

AT_ONCE = 500
"""Rows of one statement."""


class Sightings:
    """The table of them."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    def current(self) -> list[Sighting]:
        """Those that are not gone."""
        query = select(tables.sightings).where(tables.sightings.c.gone == 0)
        with self._database.read() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [Sighting(**row | {"severity": Severity(row["severity"])}) for row in rows]

    def save(self, sightings: Iterable[Sighting]) -> None:
        """Add or change some. One that was gone and is back was never fixed: its first sighting stays."""
        rows = [asdict(each) for each in sightings]
        if not rows:
            return
        with self._lease.write() as connection:
            statement = inserter(connection.dialect.name, tables.sightings)
            new = statement.excluded
            back = (tables.sightings.c.fixable > 0) & (new.gone == 0)
            fixable = case((back, tables.sightings.c.fixable), else_=new.fixable)
            changed = {"severity": new.severity, "fixable": fixable, "gone": new.gone}
            statement = statement.on_conflict_do_update(index_elements=["role", "advisory", "source"], set_=changed)
            for start in range(0, len(rows), AT_ONCE):
                connection.execute(statement, rows[start : start + AT_ONCE])

    def fixed(self) -> dict[Severity, tuple[int, int]]:
        """Severity -> how many are gone that could be fixed, and the seconds that all of them took from then on."""
        table = tables.sightings.c
        since = case((table.fixable > table.seen, table.fixable), else_=table.seen)
        query = (
            select(table.severity, func.count(), func.sum(table.gone - since))
            .where(table.gone > 0, table.fixable > 0)
            .group_by(table.severity)
        )
        with self._database.read() as connection:
            return {Severity(row[0]): (int(row[1]), int(row[2])) for row in connection.execute(query)}
