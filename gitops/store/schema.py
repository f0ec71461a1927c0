"""Which version a database's tables have, and the way to the newest one (`gitops.store.migrations`).

Rules: a new database gets the newest tables at once, whoever opens it; an older one is brought forward only by whom it
is said to (`toweros run` and `apply`), in one transaction: it is done or as before. Two who come at once wait for
each other. What a newer TowerOS made is left alone.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Column, MetaData, String, Table, func, insert, inspect, select
from sqlalchemy.engine import Connection

from gitops.errors import StoreError
from gitops.store import tables
from gitops.store.database import Database

VERSIONS = ("0001", "0002", "0003", "0004")
"""Every version, oldest first. The tables of the first one (0.1.0) do not say theirs."""
NEWEST = VERSIONS[-1]
MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x746F776572
"""PostgreSQL's number of the lock under which tables are made."""

versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def version(database: Database) -> str:
    """Of the tables that are there; empty: there are none."""
    with database.read() as connection:
        return _version(connection)


def settle(database: Database, contents: Callable[[str], str] | None = None) -> None:
    """See to it that the tables are the newest. `contents` (release digest -> content digest) lets it migrate.

    Raises:
        StoreError: they are older, and must not be migrated now; or newer.
    """
    if version(database) == NEWEST:
        return
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        existing = _version(connection)
        if not existing:
            tables.metadata.create_all(connection)
            versions.create(connection)
            connection.execute(insert(versions).values(version_num=NEWEST))
        elif existing not in VERSIONS:
            raise StoreError("the database was made by a newer TowerOS", hint="install that, or a newer one, here too")
        elif existing != NEWEST and contents is None:
            hint = "`toweros run` or `toweros apply` brings it forward; make a backup before"
            raise StoreError("the database was made by an older TowerOS", hint=hint)
        elif existing != NEWEST and contents:
            _migrate(connection, contents)


def _version(connection: Connection) -> str:
    there = inspect(connection)
    if there.has_table(versions.name):
        return connection.scalar(select(versions.c.version_num)) or "?"
    return VERSIONS[0] if there.has_table(tables.boxes.name) else ""


def _migrate(connection: Connection, contents: Callable[[str], str]) -> None:
    from alembic import command  # takes long to load, and is hardly ever needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes |= {"connection": connection, "contents": contents}
    if not inspect(connection).has_table(versions.name):
        command.stamp(config, VERSIONS[0])
    command.upgrade(config, NEWEST)
