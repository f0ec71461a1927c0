"""The tables: the same for SQLite and PostgreSQL.

A noun is kept whole as canonical JSON (`document`); columns exist for what is looked up, and for what is asked of
every box at once, so that the fleet's state needs no document. A change comes with a migration (`gitops.store.schema`).
"""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

metadata = MetaData()

DIGEST, BOX = String(64), String(63)


def _offer(name: str) -> Table:
    """A release with its signed boot files, for one box: what it is offered, or what waits for its turn.

    `blobs` and `layers` are the names of the files that the box fetches, with a space between two.
    """
    return Table(
        name,
        metadata,
        Column("box", BOX, primary_key=True),
        Column("box_key", DIGEST, nullable=False),
        Column("release", DIGEST, nullable=False),
        Column("content", DIGEST, nullable=False),
        Column("revision", Text, nullable=False),
        Column("sequence", BigInteger, nullable=False),
        Column("blobs", Text, nullable=False),
        Column("layers", Text, nullable=False),
        Column("document", Text, nullable=False),
    )


images = Table("images", metadata, Column("key", DIGEST, primary_key=True), Column("document", Text, nullable=False))

layers = Table(
    "layers",
    metadata,
    Column("diff_id", DIGEST, primary_key=True),
    Column("recipe", Integer, primary_key=True),
    Column("root", DIGEST, nullable=False),
    Column("size", BigInteger, nullable=False),
)

notes = Table(
    "values_", metadata, Column("name", String(200), primary_key=True), Column("document", Text, nullable=False)
)

boxes = Table(
    "boxes",
    metadata,
    Column("name", BOX, primary_key=True),
    Column("public_key", DIGEST, nullable=False),
    Column("enrolled", BigInteger, nullable=False),
    Column("revoked", BigInteger, nullable=False, default=0),
)

publications = _offer("publications")

candidates = _offer("candidates")

releases = Table(
    "releases",
    metadata,
    Column("release", DIGEST, primary_key=True),
    Column("content", DIGEST, nullable=False),
    Column("revision", Text, nullable=False),
    Column("published", BigInteger, nullable=False, index=True),
)
"""What was published lately: which content and revision a release is."""

reports = Table(
    "reports",
    metadata,
    Column("box", BOX, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("release", DIGEST, nullable=False),
    Column("content", DIGEST, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("health", String(16), nullable=False),
    Column("phase", String(100), nullable=False),
    Column("error", Text, nullable=False),
    Column("failures", Text, nullable=False),
    Column("failed", Text, nullable=False),
    Column("document", Text, nullable=False),
)
"""The newest report of each box. `failures` is JSON, `[]` mostly; `failed` are the contents that the box says never
again to, with a space between two."""

holds = Table(
    "holds",
    metadata,
    Column("box", BOX, primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
)
"""Why boxes do not go on, as of the last pass."""

leases = Table(
    "leases",
    metadata,
    Column("name", BOX, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("renewed", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("folder", DIGEST, nullable=False),
)
"""Who may change what boxes are offered (`gitops.store.lease`)."""

boots = Table(
    "boots",
    metadata,
    Column("box", BOX, primary_key=True),
    Column("boot_id", String(64), primary_key=True),
    Column("counter", BigInteger, nullable=False),
    Column("heard", BigInteger, nullable=False, server_default="0"),
)
"""A box's newest boots (`gitops.store.history.boots`)."""

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", BigInteger, nullable=False),
    Column("box", BOX, nullable=False, index=True),
    Column("type", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
)

sightings = Table(
    "sightings",
    metadata,
    Column("role", BOX, primary_key=True),
    Column("advisory", String(100), primary_key=True),
    Column("source", String(300), primary_key=True),
    Column("severity", String(16), nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("fixable", BigInteger, nullable=False),
    Column("gone", BigInteger, nullable=False, index=True),
)
"""When a vulnerability of a role's boxes was first seen, when a fix was, and when the last box no longer had it."""
