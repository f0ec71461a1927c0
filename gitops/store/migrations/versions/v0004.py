"""When each boot of a box was last heard: the oldest are forgotten. All that are there are older than the next one."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    # A default, for the rows that are there; every new one says it.
    op.add_column("boots", sa.Column("heard", sa.BigInteger, nullable=False, server_default="0"))
