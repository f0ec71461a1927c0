"""A table for when vulnerabilities were first seen, could be fixed, and were gone."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    times = [sa.Column(name, sa.BigInteger, nullable=False) for name in ("seen", "fixable", "gone")]
    op.create_table(
        "sightings",
        sa.Column("role", sa.String(63), primary_key=True),
        sa.Column("advisory", sa.String(100), primary_key=True),
        sa.Column("source", sa.String(300), primary_key=True),
        sa.Column("severity", sa.String(16), nullable=False),
        *times,
    )
    op.create_index("ix_sightings_gone", "sightings", ["gone"])
