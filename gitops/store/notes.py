"""Small documents that outlive the process, by name."""

import json

from sqlalchemy import delete, select

from gitops.model import Json, canonical
from gitops.store import tables
from gitops.store.database import Database, upsert
from gitops.store.lease import Lease

PLANNED = "planned"
"""The document on the last revision that was carried out: its commit, boxes, and packages with their keys."""


class Notes:
    """Documents by name."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    def value(self, name: str) -> Json | None:
        with self._database.read() as connection:
            text = connection.scalar(select(tables.notes.c.document).where(tables.notes.c.name == name))
        return json.loads(text) if text else None

    def set_value(self, name: str, value: Json | None) -> None:
        """Keep a document; None forgets it."""
        with self._lease.write() as connection:
            if value is None:
                connection.execute(delete(tables.notes).where(tables.notes.c.name == name))
            else:
                upsert(connection, tables.notes, {"name": name}, {"document": canonical(value).decode()})
