"""One database, SQLite or PostgreSQL: short transactions, one upsert, errors that people can read.

database = Database.open("sqlite:////var/lib/toweros/toweros.db")
with database.write() as connection:
    upsert(connection, tables.images, {"key": key}, {"document": text})
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from gitops.errors import StoreError
from gitops.store import tables

HINT = "see docs/operations.md, Store"


class Database:
    """Where the rows are."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> "Database":
        """Connect, and make the tables that are missing.

        Raises:
            StoreError: it is not there, damaged, or not ours.
        """
        engine = create_engine(url)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _tune)
        event.listen(engine, "handle_error", _explain)
        tables.metadata.create_all(engine)
        return cls(engine)

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it is on disk when the context ends, or nothing of it."""
        with self.engine.begin() as connection:
            yield connection


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Insert a row, or update the one with this key, in one statement: two writers never collide."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(table).values(**key, **columns)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(columns)))


def _explain(context: ExceptionContext) -> None:
    """What the database says is wrong, for people: damaged, full, locked."""
    raise StoreError(f"the database: {context.original_exception}", hint=HINT)


def _tune(connection: object, _record: ConnectionPoolEntry) -> None:
    """Readers beside one writer, and a commit that is on disk when it says so."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
