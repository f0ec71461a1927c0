"""Boxes that do not say how often they look at their server: what Git asks of them counts.

In: a query for boxes, the document that a pass writes (`Roster`). Out: their states. Rules: whoever says it is
believed; without anybody who does not, nothing is read; a damaged document says nothing.

    known(database, query, Read())
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, select

from gitops.model import BoxState
from gitops.model.machines.silence import POLL, REPEAT
from gitops.store import tables
from gitops.store.database import Database
from gitops.store.notes.directory import DIRECTORY, Roster
from gitops.store.rows.reading import named, plain
from gitops.store.rows.states import UNSAID, state_of


@dataclass
class Read:
    """What was read of each box last, and what that is: who asks of ten thousand boxes every few seconds is told of
    those that changed. It is put in place of the last one whole, so that threads may share it."""

    rows: Mapping[str, tuple[tuple[Any, ...], BoxState]] = field(default_factory=dict)
    asked: tuple[str | None, Mapping[str, int]] = (None, MappingProxyType({}))
    """What Git asks of boxes: the document, and what it says."""

    def states(self, database: Database, query: Select[Any]) -> list[BoxState]:
        """All that the query has, by name; a row that is as it was gives the same state."""
        before, rows = self.rows, dict[str, tuple[tuple[Any, ...], BoxState]]()
        for columns in plain(database, query):
            kept = before.get(columns[0])
            if kept and kept[0] == columns:
                rows[columns[0]] = kept
            elif named(columns[0]):
                rows[columns[0]] = columns, state_of(columns)
        self.rows = rows
        return [rows[name][1] for name in sorted(rows)]  # a database sorts whole rows, which takes longer


def known(database: Database, query: Select[Any], read: Read | None = None) -> list[BoxState]:
    """Those of older agents with the poll that Git asks for."""
    read = read or Read()
    states = read.states(database, query)
    if all((each.poll, each.every) != UNSAID for each in states if each.received):
        return states
    with database.read() as connection:
        text = connection.scalar(select(tables.notes.c.document).where(tables.notes.c.name == DIRECTORY[Roster]))
    if text != read.asked[0]:
        read.asked = text, _polls(text)
    polls = read.asked[1]
    return [_asked(each, polls) for each in states] if polls else states


def _polls(text: str | None) -> Mapping[str, int]:
    """Box -> its poll, where that is more than boxes do by themselves."""
    try:
        rows = json.loads(text or "{}").items()
        return {box: row["poll"] for box, row in rows if type(row["poll"]) is int and row["poll"] > POLL}
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}


def _asked(state: BoxState, polls: Mapping[str, int]) -> BoxState:
    poll = polls.get(state.name, POLL)
    return replace(state, poll=poll, every=max(poll, REPEAT)) if (state.poll, state.every) == UNSAID else state
