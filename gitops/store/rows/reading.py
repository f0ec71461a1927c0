"""Rows of which one may be damaged: it is one box's, and the others are read all the same.

In: a database, a query. Out: its rows. Rules: SQLite gives whatever is in a cell, of another kind, too, and refuses
a whole query for a text that is no UTF-8 (a bad disk flips bits): such a text comes with its bad letters replaced,
which makes it another text; a row whose key is no name of a box is nobody's, and is passed over.

    for row in whole(database, query, 0): ...     # column 0 is the box's name
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.engine import Connection

from gitops.errors import StoreError
from gitops.store.database import Database

NO_TEXT = "decode to UTF-8"
"""What Python's sqlite3 says of it."""
BOX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DIGEST = re.compile(r"[0-9a-f]{64}")


class DamagedRowError(StoreError):
    """A row cannot be read, and it is one box's."""


@contextmanager
def damage() -> Iterator[None]:
    """What reads a document within fails with DamagedRowError if that is what is wrong."""
    try:
        yield
    except StoreError as error:
        if NO_TEXT not in error.message:
            raise
        raise DamagedRowError(error.message, hint=error.hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedRowError(f"a row is damaged: {str(error)[:100]}") from error


def rows(database: Database, query: Select[Any]) -> list[Row[Any]]:
    """All of them."""
    try:
        with database.read() as connection:
            return list(connection.execute(query))
    except StoreError as error:
        if NO_TEXT not in error.message:
            raise
    with database.read() as connection:
        return _as_they_are(connection, query)


def whole(database: Database, query: Select[Any], key: int = 0) -> Iterator[Row[Any]]:
    """Those whose key is the name of a box."""
    return (row for row in rows(database, query) if named(row[key]))


def plain(database: Database, query: Select[Any]) -> list[tuple[Any, ...]]:
    """As `rows`, without an object for each: of ten thousand, those take longer than the database."""
    try:
        with database.read() as connection:
            cursor: Any = connection.execute(query).cursor
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found
    except Exception:  # whatever it is, it is said by who reads row by row
        return [tuple(row) for row in rows(database, query)]


def named(key: Any) -> bool:
    """Whether it is the name of a box."""
    return isinstance(key, str) and BOX.fullmatch(key) is not None


def _as_they_are(connection: Connection, query: Select[Any]) -> list[Row[Any]]:
    raw: Any = connection.connection.driver_connection
    raw.text_factory = _readable
    try:
        return list(connection.execute(query))
    finally:
        raw.text_factory = str


def _readable(data: bytes) -> str:
    return data.decode(errors="replace")
