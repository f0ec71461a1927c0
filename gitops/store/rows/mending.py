"""Damaged columns of what a box is offered are written again from the document beside them, which is whole more often.

In: a box. Out: whether a row could be read, and so was written. Rules: a document that cannot be read mends nothing.

    mend(database, lease, "site-7")
"""

from contextlib import suppress
from typing import Any

from sqlalchemy import select, update

from gitops.errors import TowerosError
from gitops.store import documents, tables
from gitops.store.database import Database
from gitops.store.lease import Lease
from gitops.store.rows.columns import columns_of
from gitops.store.rows.reading import rows


def mend(database: Database, lease: Lease, box: str) -> None:
    """Both rows of the box."""
    for table in (tables.publications, tables.candidates):
        for row in rows(database, select(table.c.document).where(table.c.box == box)):
            with suppress(TowerosError, ValueError, TypeError, KeyError, AttributeError):
                columns: Any = columns_of(documents.publication(row.document))
                with lease.write() as connection:
                    connection.execute(update(table).where(table.c.box == box).values(columns))
