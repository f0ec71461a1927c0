"""The whole database as one SQLite file of one moment, whichever database it is and whoever writes; and the way back.

Rules: nobody holds the lease in it; a file is read whole before anything of it is believed; what is brought back takes
the place of everything, in one transaction, and the lease's token rises: who held it before holds nothing any more.

    take(database, Path("toweros.db"))
    problem(Path("toweros.db"))                 # "": SQLite finds nothing wrong with it
    put_back(Path("toweros.db"), database)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import delete, func, select, update

from gitops.errors import StoreError
from gitops.store import schema, tables
from gitops.store.database import Database, copy_rows


def take(database: Database, file: Path) -> None:
    """Write what is in the database into a new file."""
    with _opened(file) as other:
        schema.settle(other)
        database.copy_to(other, tables.metadata.sorted_tables)
        with other.write() as connection:
            connection.execute(update(tables.leases).values(holder=""))


def problem(file: Path) -> str:
    """What SQLite finds wrong with a file; empty: nothing."""
    try:
        with _opened(file) as database:
            return check(database)
    except StoreError as error:
        return error.message


def check(database: Database) -> str:
    """What SQLite finds wrong with a database that is SQLite's; empty: nothing."""
    with database.read() as connection:
        said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    return "" if said == "ok" else str(said)


def goes_with(database: Database) -> str:
    """The name of the state folder that a database goes with; empty: none yet."""
    with database.read() as connection:
        return connection.scalar(select(tables.leases.c.folder)) or ""


def put_back(file: Path, database: Database) -> None:
    """Let the database hold what is in the file, which has the newest tables, and nothing else."""
    schema.settle(database)
    with _opened(file) as photograph, photograph.moment() as old, database.write() as new:
        token = select(func.max(tables.leases.c.token))
        last = max(new.scalar(token) or 0, old.scalar(token) or 0)
        for table in tables.metadata.sorted_tables:
            new.execute(delete(table))
            copy_rows(old, new, table)
        new.execute(update(tables.leases).values(token=last + 1))


@contextmanager
def _opened(file: Path) -> Iterator[Database]:
    """Left as one file: no journal stays beside it."""
    database = Database.open(f"sqlite:///{file}")
    try:
        yield database
    finally:
        database.close()
