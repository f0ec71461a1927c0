"""Where the small documents are kept: a row each, under its name.

notes.put(Planned("5c1e...", ("site-7",)))
notes.get(Planned)                              # None: never written
notes.put(SignedBootFile(digest), key)
notes.change(Suspended, lambda suspended: ...)  # whoever comes second sees what the first one wrote
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import delete, select

from gitops.store import tables
from gitops.store.database import Database, inserter, upsert
from gitops.store.lease import Lease
from gitops.store.notes.documents import decode, encode, name_of

T = TypeVar("T")


class Notes:
    """Documents by kind, and by key where there is one for each key."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease

    def get(self, kind: type[T], key: str = "") -> T | None:
        """A document; None: it was never written.

        Raises:
            StoreError: it is damaged.
        """
        name = name_of(kind, key)
        with self._database.read() as connection:
            text = connection.scalar(select(tables.notes.c.document).where(tables.notes.c.name == name))
        return None if text is None else decode(kind, key, text)

    def each(self, kind: type[T]) -> dict[str, T]:
        """Every document of a kind that has one for each key, by the key, in one query.

        Raises:
            StoreError: one is damaged.
        """
        name = name_of(kind, "x")[:-1]
        # `startswith` with `autoescape`: a name may hold what LIKE takes for a wildcard.
        where = tables.notes.c.name.startswith(name, autoescape=True)
        with self._database.read() as connection:
            rows = connection.execute(select(tables.notes.c.name, tables.notes.c.document).where(where)).all()
        found = {row.name.removeprefix(name): row.document for row in rows}
        return {key: decode(kind, key, text) for key, text in found.items()}

    def put(self, document: Any, key: str = "") -> None:
        """Keep a document, in place of the last one of its kind and key."""
        name, text = name_of(type(document), key), encode(document)
        with self._lease.write() as connection:
            upsert(connection, tables.notes, {"name": name}, {"document": text})

    def put_together(self, *documents: tuple[Any, str]) -> None:
        """Keep several, each with its key (empty: it has none): all, or none."""
        with self._lease.write() as connection:
            for document, key in documents:
                name = name_of(type(document), key)
                upsert(connection, tables.notes, {"name": name}, {"document": encode(document)})

    def forget(self, kind: type[Any], keys: Iterable[str]) -> None:
        """Drop the documents of these keys."""
        with self._lease.write() as connection:
            for key in keys:
                connection.execute(delete(tables.notes).where(tables.notes.c.name == name_of(kind, key)))

    def change(self, kind: Callable[[], T], make: Callable[[T], T], key: str = "") -> T:
        """Put what `make` makes of a document (of an empty one, if it was never written), and return it. Nobody writes
        in between, whichever process it is.

        Raises:
            StoreError: it is damaged.
        """
        empty = kind()
        name, column = name_of(type(empty), key), tables.notes.c
        with self._lease.write() as connection:
            # A row that is not there cannot be locked, and PostgreSQL lets two writers look for one at the same time.
            row = {"name": name, "document": encode(empty)}
            connection.execute(inserter(connection.dialect.name, tables.notes).on_conflict_do_nothing(), row)
            text = connection.scalar(select(column.document).where(column.name == name).with_for_update())
            document = make(decode(type(empty), key, text or ""))
            upsert(connection, tables.notes, {"name": name}, {"document": encode(document)})
        return document
