"""What the last reports say word for word, for people: also what this version has no noun for.

store.words.of(["site-7"])["site-7"]["agent"]
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from gitops.model import Json
from gitops.store import tables
from gitops.store.database import Database

SLICE = 500
"""Names in one statement."""


class Words:
    """Documents of reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, boxes: Sequence[str]) -> dict[str, Json]:
        """The newest report of each of these; one that is damaged says nothing."""
        found: dict[str, Json] = {}
        column = tables.reports.c
        for start in range(0, len(boxes), SLICE):
            query = select(column.box, column.document).where(column.box.in_(boxes[start : start + SLICE]))
            with self._database.read() as connection:
                found |= {row.box: _read(row.document) for row in connection.execute(query)}
        return found


def _read(text: Any) -> Json:
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
