"""What happened, newest first; the oldest go when there are too many."""

import time

from sqlalchemy import delete, func, insert, select

from gitops.model import Event, EventType
from gitops.store import tables
from gitops.store.database import Database

KEPT = 10_000


class Events:
    """The log of one fleet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, box: str, type: EventType, reason: str, message: str) -> None:
        row = {"time": int(time.time()), "box": box, "type": type, "reason": reason, "message": message}
        with self._database.write() as connection:
            connection.execute(insert(tables.events).values(**row))
            last = connection.scalar(select(func.max(tables.events.c.id))) or 0
            connection.execute(delete(tables.events).where(tables.events.c.id <= last - KEPT))

    def latest(self, box: str | None = None, limit: int = 50) -> list[Event]:
        """Of one box, of the controller (`""`), or of all."""
        query = select(tables.events).order_by(tables.events.c.id.desc()).limit(limit)
        if box is not None:
            query = query.where(tables.events.c.box == box)
        with self._database.read() as connection:
            return [Event(r.time, r.box, EventType(r.type), r.reason, r.message) for r in connection.execute(query)]
