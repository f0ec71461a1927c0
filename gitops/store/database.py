"""The tables. SQLite by default, PostgreSQL by URL; the same statements for both.

Documents (images, publications, reports) are canonical JSON of the nouns; columns exist only for what is looked up.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, create_engine, event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from gitops.errors import StoreError

metadata = MetaData()

images = Table(
    "images", metadata, Column("key", String(64), primary_key=True), Column("document", Text, nullable=False)
)

layers = Table(
    "layers",
    metadata,
    Column("diff_id", String(64), primary_key=True),
    Column("recipe", Integer, primary_key=True),
    Column("root", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
)

values = Table(
    "values_", metadata, Column("name", String(200), primary_key=True), Column("document", Text, nullable=False)
)

boxes = Table(
    "boxes",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("public_key", String(64), nullable=False),
    Column("enrolled", BigInteger, nullable=False),
    Column("revoked", BigInteger, nullable=False, default=0),
)

publications = Table(
    "publications",
    metadata,
    Column("box", String(63), primary_key=True),
    Column("box_key", String(64), nullable=False),
    Column("document", Text, nullable=False),
)

candidates = Table(
    "candidates",
    metadata,
    Column("box", String(63), primary_key=True),
    Column("box_key", String(64), nullable=False),
    Column("document", Text, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("box", String(63), primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
)

boots = Table(
    "boots",
    metadata,
    Column("box", String(63), primary_key=True),
    Column("boot_id", String(64), primary_key=True),
    Column("counter", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", BigInteger, nullable=False),
    Column("box", String(63), nullable=False, index=True),
    Column("type", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
)


@dataclass(frozen=True)
class BoxRow:
    """An enrolled box. `public_key` is Ed25519, hex. `received` and `since` are 0 before the first report."""

    name: str
    public_key: str
    enrolled: int
    revoked: int = 0
    received: int = 0
    since: int = 0


@dataclass(frozen=True)
class Event:
    """Something that happened. `type` is `Normal` or `Warning`; `box` is empty for the controller itself."""

    time: int
    box: str
    type: str
    reason: str
    message: str


def connect(url: str) -> Engine:
    """Open the database and make the tables that are missing."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune)
    event.listen(engine, "handle_error", _tell)
    metadata.create_all(engine)
    return engine


def _tell(context: ExceptionContext) -> None:
    """What the database says is wrong, for people: damaged, full, locked."""
    raise StoreError(f"the database: {context.original_exception}", hint="see docs/operations.md, Store")


def _tune(connection: object, _record: ConnectionPoolEntry) -> None:
    """Readers beside one writer, and a commit that is on disk when it says so."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
