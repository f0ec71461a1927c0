"""What happened, newest first; the oldest go when there are too many."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, delete, func, insert, or_, select
from sqlalchemy.engine import Connection

from gitops.model import Event, EventType
from gitops.store import tables
from gitops.store.database import Database

KEPT = 10_000
ADD = insert(tables.events).returning(tables.events.c.id)
TRIM = 100
"""One in so many events lets the oldest go: two servers hardly ever meet there."""


@dataclass(frozen=True)
class Wanted:
    """Which events; what is empty asks for nothing. Of these `boxes` (`""`: the controller), of one `type`, of these
    `kinds` (types or reasons, upper or lower case), with a `text` in them, not before `since` (Unix seconds), with a
    number above `after` and below `before`."""

    boxes: tuple[str, ...] = ()
    type: str = ""
    kinds: tuple[str, ...] = ()
    text: str = ""
    since: int = 0
    after: int = 0
    before: int = 0

    def where(self) -> Iterator[ColumnElement[bool]]:
        """As conditions of SQL; a text has no patterns."""
        column = tables.events.c
        if self.boxes:
            yield column.box.in_(self.boxes)
        if self.type:
            yield column.type == self.type
        if self.kinds:
            kinds = [kind.lower() for kind in self.kinds]
            yield or_(func.lower(column.reason).in_(kinds), func.lower(column.type).in_(kinds))
        if self.text:
            yield or_(*(each.icontains(self.text, autoescape=True) for each in (column.message, column.box)))
        if self.since:
            yield column.time >= self.since
        if self.after:
            yield column.id > self.after
        if self.before:
            yield column.id < self.before


class Events:
    """The log of one fleet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, box: str, type: EventType, reason: str, message: str) -> None:
        with self._database.write(durable=False) as connection:
            append(connection, [Event(int(time.time()), box, type, reason, message)])

    def of(self, wanted: Wanted, limit: int, *, oldest: bool = False) -> list[tuple[int, Event]]:
        """The newest that are wanted, newest first; or the oldest, oldest first. Each with its number, which rises."""
        number = tables.events.c.id
        query = select(tables.events).where(*wanted.where()).order_by(number if oldest else number.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [(r.id, Event(r.time, r.box, EventType(r.type), r.reason, r.message)) for r in rows]

    def latest(self, box: str | None = None, limit: int = 50) -> list[Event]:
        """Of one box, of the controller (`""`), or of all; newest first."""
        return [event for _, event in self.of(Wanted(() if box is None else (box,)), limit)]

    def newest(self) -> int:
        """The number of the newest one; 0: there is none."""
        with self._database.read() as connection:
            return connection.scalar(select(func.max(tables.events.c.id))) or 0


def append(connection: Connection, events: Sequence[Event]) -> None:
    """Add events; now and then, let the oldest go."""
    for event in events:
        number = connection.scalar(ADD, asdict(event)) or 0
        if number % TRIM == 0:
            connection.execute(delete(tables.events).where(tables.events.c.id <= number - KEPT))
