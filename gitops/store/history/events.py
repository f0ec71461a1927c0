"""What happened, newest first; the oldest go when there are too many."""

import time
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from gitops.model import Event, EventType
from gitops.store import tables
from gitops.store.database import Database

KEPT = 10_000
ADD = insert(tables.events).returning(tables.events.c.id)
TRIM = 100
"""One in so many events lets the oldest go: two servers hardly ever meet there."""


class Events:
    """The log of one fleet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, box: str, type: EventType, reason: str, message: str) -> None:
        with self._database.write(durable=False) as connection:
            append(connection, [Event(int(time.time()), box, type, reason, message)])

    def latest(self, box: str | None = None, limit: int = 50) -> list[Event]:
        """Of one box, of the controller (`""`), or of all."""
        query = select(tables.events).order_by(tables.events.c.id.desc()).limit(limit)
        if box is not None:
            query = query.where(tables.events.c.box == box)
        with self._database.read() as connection:
            return [Event(r.time, r.box, EventType(r.type), r.reason, r.message) for r in connection.execute(query)]


def append(connection: Connection, events: Sequence[Event]) -> None:
    """Add events; now and then, let the oldest go."""
    for event in events:
        number = connection.scalar(ADD, asdict(event)) or 0
        if number % TRIM == 0:
            connection.execute(delete(tables.events).where(tables.events.c.id <= number - KEPT))
