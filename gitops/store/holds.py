"""Why boxes do not go on, as of the last pass."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from gitops.model import Hold, HoldReason
from gitops.store import tables
from gitops.store.database import Database
from gitops.store.lease import Lease


class Holds:
    """Box -> its hold; no row for a box that is free."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    def all(self) -> dict[str, Hold]:
        with self._database.read() as connection:
            rows = connection.execute(select(tables.holds)).all()
        return {row.box: Hold(HoldReason(row.reason), row.detail) for row in rows}

    def save(self, holds: Mapping[str, Hold]) -> None:
        """From now on these boxes wait, and no others."""
        rows = [{"box": box, "reason": hold.reason, "detail": hold.detail} for box, hold in holds.items()]
        with self._lease.write() as connection:
            connection.execute(delete(tables.holds))
            if rows:
                connection.execute(insert(tables.holds), rows)
