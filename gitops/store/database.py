"""One database, SQLite or PostgreSQL: short transactions, one upsert, errors that people can read.

Rules: a URL's password is in no error; writers wait for each other and never fail because of each other; a commit is on
disk when it says so, unless its writer can do without (ADR 18).

    database = Database.open("sqlite:////var/lib/toweros/toweros.db")
    with database.write() as connection:
        upsert(connection, tables.images, {"key": key}, {"document": text})
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from sqlalchemy import Table, create_engine, event, insert, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from gitops.errors import SettingsError, StoreError
from gitops.settings import Settings

HINT = "see docs/controller.md, Store"
POSTGRESQL = "postgresql://"
WAIT = 10
"""Seconds that a connection or a writer's turn is waited for."""
IDLE = 60
"""Seconds after which PostgreSQL ends the transaction of a process that hangs in it: others wait for its rows."""
READ, MOMENT, DURABLE, QUICK = "read", "moment", "durable", "quick"
BAD_DISK = ("SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")
"""Errors after which every connection is made anew."""
BEGIN = {
    ("sqlite", READ): ("BEGIN",),
    ("sqlite", MOMENT): ("BEGIN",),
    # A transaction that reads first and writes later cannot wait for its turn: SQLite refuses it at once.
    ("sqlite", DURABLE): ("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE"),
    ("sqlite", QUICK): ("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE"),
    # Not for every reader: one that locks a row would fail where its writer came first.
    ("postgresql", MOMENT): ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",),
    ("postgresql", QUICK): ("SET LOCAL synchronous_commit=off",),
}
"""What opens a transaction, by dialect and kind."""


class Database:
    """Where the rows are."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> "Database":
        """Name it; it is connected to when it is used. Each use raises StoreError if it is away or damaged.

        Raises:
            StoreError: this is no URL.
        """
        engine = _engine(_parse(url))
        event.listen(engine, "handle_error", partial(_explain, engine.url))
        return cls(engine)

    def close(self) -> None:
        self.engine.dispose()

    def read(self) -> contextlib.AbstractContextManager[Connection]:
        """Every statement within sees what was there when it began; in SQLite, when the first one did."""
        return self._transaction(READ)

    def moment(self) -> contextlib.AbstractContextManager[Connection]:
        """Everything that is read within is of one moment, while others write."""
        return self._transaction(MOMENT)

    def write(self, *, durable: bool = True) -> contextlib.AbstractContextManager[Connection]:
        """One transaction: all of it is there when the context ends, or nothing of it.

        It is on disk then, too; a power cut may take the last of those that are not `durable`.
        """
        return self._transaction(DURABLE if durable else QUICK)

    def copy_to(self, other: "Database", which: Iterable[Table]) -> None:
        """Give an empty database the rows of these tables as they are now; numbers that it counts itself begin anew."""
        with self.moment() as old, other.write() as new:
            for table in which:
                copy_rows(old, new, table)

    @contextlib.contextmanager
    def _transaction(self, kind: str) -> Iterator[Connection]:
        with self.engine.connect().execution_options(kind=kind) as connection, connection.begin():
            yield connection


def copy_rows(old: Connection, new: Connection, table: Table) -> None:
    """Give an empty table the rows of its like; numbers that a database counts itself begin anew."""
    columns = [column for column in table.columns if column.autoincrement is not True]
    found = old.execute(select(*columns).order_by(*table.primary_key.columns)).mappings()
    if rows := [dict(row) for row in found]:
        new.execute(insert(table), rows)


def upsert(connection: Connection, table: Table, key: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Insert a row, or update the one with this key, in one statement: two writers never collide."""
    statement = _upserting(connection.dialect.name, table, tuple(key), tuple(columns))
    connection.execute(statement, {**key, **columns})


@cache
def _upserting(dialect: str, table: Table, key: tuple[str, ...], columns: tuple[str, ...]) -> Any:
    """Made once for each table: to make a statement takes longer than to run it."""
    statement = inserter(dialect, table)
    new = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=list(key), set_=new)


def inserter(dialect: str, table: Table) -> Any:
    """An INSERT that may go on with `on_conflict_...`: both databases have it, each in a class of its own."""
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not what SQLAlchemy says: that may hold the password.
        raise StoreError("`database` is not a URL", hint="postgresql://USER:PASSWORD@HOST/NAME") from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": WAIT, "isolation_level": None})
        event.listen(engine, "connect", _tune)
    else:
        # Tried before it is used: the server may be a new one. UTF-8, also where it was made with the locale C.
        engine = create_engine(url, client_encoding="utf8", connect_args={"connect_timeout": WAIT}, pool_pre_ping=True)
        event.listen(engine, "connect", _bound)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    kind = connection.get_execution_options().get("kind", DURABLE)
    for statement in BEGIN.get((connection.dialect.name, kind), ()):
        connection.exec_driver_sql(statement)


def _explain(url: URL, context: ExceptionContext) -> None:
    """What the database says is wrong, for people: damaged, full, locked, away."""
    if context.is_pre_ping:
        return  # that is what it is tried for: another connection is made, and what is wrong with that one is told
    if not isinstance(context.original_exception, Exception):
        return  # a signal ends us in the middle of a statement, which is no fault of the database
    if getattr(context.original_exception, "sqlite_errorname", "").startswith(BAD_DISK) and context.engine:
        # Else what SQLite keeps open of a file system that was read-only stays so when that is mended. It closes a
        # connection only when its last statement is closed, and the traceback would keep this one.
        if cursor := getattr(context.execution_context, "cursor", None):
            cursor.close()
        context.is_disconnect = True
        context.engine.dispose()
    where = "/".join(filter(None, (url.host, url.database)))
    raise StoreError(f"the database {where}: {str(context.original_exception).strip()}", hint=HINT)


def _tune(connection: object, _record: ConnectionPoolEntry) -> None:
    """Readers beside one writer. SQLite itself does not wait until a new database may become that."""
    cursor, until = connection.cursor(), time.monotonic() + WAIT  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
        while not _done(cursor, f"PRAGMA {pragma}", last=time.monotonic() >= until):
            time.sleep(0.02)
    cursor.close()


def _done(cursor: sqlite3.Cursor, statement: str, *, last: bool) -> bool:
    """False: another has the database now."""
    try:
        return bool(cursor.execute(statement))
    except sqlite3.OperationalError as error:
        if last or error.sqlite_errorname != "SQLITE_BUSY":
            raise
        return False


def _bound(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Set for the session, outside of a transaction: one that is rolled back would take it along."""
    connection.autocommit = True
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE}s'")
    connection.autocommit = False


def database_url(settings: Settings) -> str:
    """Where the settings put the database; empty for SQLite in `state`.

    Raises:
        SettingsError: `database_file` cannot be read, or holds something else.
    """
    file = settings.database_file
    if file is None:
        return settings.database
    try:
        url = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"database_file: {file} cannot be read", hint="see docs/settings.md") from error
    if not url.startswith(POSTGRESQL) or settings.database:
        why = "`database` is set too" if settings.database else f"it holds no {POSTGRESQL}... URL"
        raise SettingsError(f"database_file: {file}: {why}", hint="see docs/settings.md")
    return url
