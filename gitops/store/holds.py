"""Why boxes do not go on, as of the last pass."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from gitops.model import Hold
from gitops.store import tables
from gitops.store.database import Database
from gitops.store.lease import Lease
from gitops.store.rows.reading import whole
from gitops.store.rows.states import hold_of


class Holds:
    """Box -> its hold; no row for a box that is free."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    def all(self) -> dict[str, Hold]:
        found = whole(self._database, select(tables.holds))
        return {row.box: hold for row in found if (hold := hold_of(row.reason, row.detail))}

    def save(self, holds: Mapping[str, Hold]) -> None:
        """From now on these boxes wait, and no others."""
        rows = [{"box": box, "reason": hold.reason, "detail": hold.detail} for box, hold in holds.items()]
        with self._lease.write() as connection:
            connection.execute(delete(tables.holds))
            if rows:
                connection.execute(insert(tables.holds), rows)
