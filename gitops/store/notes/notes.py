"""Where the small documents are kept: a row each, under its name.

notes.put(Planned("5c1e...", ("site-7",)))
notes.get(Planned)                              # None: never written
notes.put(SignedBootFile(digest), key)
notes.change(Suspended, lambda suspended: ...)  # whoever comes second sees what the first one wrote
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import bindparam, delete, select, update

from gitops.errors import StoreError
from gitops.model.rollout.turns import BoxTurn
from gitops.store import tables
from gitops.store.database import Database, inserter, upsert
from gitops.store.lease import Lease
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.directory import Roster
from gitops.store.notes.documents import decode, encode, name_of
from gitops.store.notes.reported import BoxFacts

T = TypeVar("T")
# Made once: to make a statement takes longer than to run it.
WRITTEN = select(tables.notes.c.document).where(tables.notes.c.name == bindparam("name"))
OFTEN = (BoxFacts, BootChecked, BoxTurn, Roster)
"""What each page asks for, of every box: a text that is as it was gives the same document."""


class Notes:
    """Documents by kind, and by key where there is one for each key."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database, self._lease = database, lease
        self._local = threading.local()
        self._read: dict[type[Any], Mapping[str, tuple[str, Any]]] = {}

    def get(self, kind: type[T], key: str = "") -> T | None:
        """A document; None: it was never written.

        Raises:
            StoreError: it is damaged.
        """
        name = name_of(kind, key)
        if name in (texts := self._texts()):
            text = texts[name]
        else:
            with self._database.read() as connection:
                text = connection.scalar(WRITTEN, {"name": name})
        if text is None:
            return None
        kept = self._read.get(kind, {}).get(key) if kind in OFTEN else None
        if not kept or kept[0] != text:
            kept = (text, decode(kind, key, text))
            if kind is Roster:
                self._read[kind] = {key: kept}
        document: T = kept[1]
        return document

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
        before, read = self._read.get(kind, {}), dict[str, tuple[str, Any]]()
        for row in rows:
            key, text = row.name.removeprefix(name), row.document
            kept = before.get(key)
            read[key] = kept if kept and kept[0] == text else (text, decode(kind, key, text))
        if kind in OFTEN:
            self._read[kind] = read
        return {key: document for key, (_, document) in read.items()}

    @contextmanager
    def together(self, *wanted: tuple[type[Any], str]) -> Iterator[None]:
        """Read these (kind, key) in one query: in this context, and by this thread, `get` gives what they were at its
        beginning, or what was written here since. A report asks for a dozen."""
        names = [name_of(kind, key) for kind, key in wanted]
        column = tables.notes.c
        try:
            with self._database.read() as connection:
                found = connection.execute(select(column.name, column.document).where(column.name.in_(names))).all()
            self._local.texts = dict[str, str | None](dict.fromkeys(names)) | {row.name: row.document for row in found}
        except StoreError:  # one of them is damaged: each is read by itself
            self._local.texts = {}
        try:
            yield
        finally:
            self._local.texts = {}

    def _texts(self) -> dict[str, str | None]:
        """Name -> what was read of it before; None: it is not there."""
        texts: dict[str, str | None] = getattr(self._local, "texts", {})
        return texts

    def keys(self, kind: type[Any]) -> list[str]:
        """The keys of the documents of a kind that has one for each key, damaged ones among them."""
        name = name_of(kind, "x")[:-1]
        with self._database.read() as connection:
            rows = connection.scalars(
                select(tables.notes.c.name).where(tables.notes.c.name.startswith(name, autoescape=True))
            )
            return [row.removeprefix(name) for row in rows]

    def put(self, document: Any, key: str = "") -> None:
        """Keep a document, in place of the last one of its kind and key."""
        name, text = name_of(type(document), key), encode(document)
        self._texts().pop(name, None)
        with self._lease.write() as connection:
            upsert(connection, tables.notes, {"name": name}, {"document": text})

    def renew(self, document: Any, key: str = "") -> bool:
        """Put a document in place of the last one of its kind and key. False: there is none, and stays none."""
        name, column = name_of(type(document), key), tables.notes.c
        with self._lease.write() as connection:
            there = update(tables.notes).where(column.name == name).values(document=encode(document))
            return connection.execute(there).rowcount > 0

    def put_together(self, *documents: tuple[Any, str]) -> None:
        """Keep several, each with its key (empty: it has none): all, or none."""
        with self._lease.write() as connection:
            for document, key in documents:
                name = name_of(type(document), key)
                self._texts().pop(name, None)
                upsert(connection, tables.notes, {"name": name}, {"document": encode(document)})

    def forget(self, kind: type[Any], keys: Iterable[str]) -> None:
        """Drop the documents of these keys."""
        with self._lease.write() as connection:
            for key in keys:
                self._texts().pop(name_of(kind, key), None)
                connection.execute(delete(tables.notes).where(tables.notes.c.name == name_of(kind, key)))

    def change(self, kind: Callable[[], T], make: Callable[[T], T], key: str = "") -> T:
        """Put what `make` makes of a document (of an empty one, if it was never written), and return it. Nobody writes
        in between, whichever process it is.

        Raises:
            StoreError: it is damaged.
        """
        empty = kind()
        name, column = name_of(type(empty), key), tables.notes.c
        self._texts().pop(name, None)
        with self._lease.write() as connection:
            # A row that is not there cannot be locked, and PostgreSQL lets two writers look for one at the same time.
            row = {"name": name, "document": encode(empty)}
            connection.execute(inserter(connection.dialect.name, tables.notes).on_conflict_do_nothing(), row)
            text = connection.scalar(select(column.document).where(column.name == name).with_for_update())
            document = make(decode(type(empty), key, text or ""))
            upsert(connection, tables.notes, {"name": name}, {"document": encode(document)})
        return document
