"""0.1.0: the tables that had no version. They are there already."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing to do."""
