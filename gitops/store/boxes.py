"""What is known of boxes: their public keys, and the newest report of each."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from gitops.model import Event, EventType, Json, Report, Verdict, canonical
from gitops.store import documents, tables
from gitops.store.database import Database, upsert
from gitops.store.history import boots
from gitops.store.history.events import append
from gitops.store.history.states import same
from gitops.store.rows.reading import DamagedRowError, damage

News = Callable[[Report | None, Report], list[tuple[EventType, str, str]]]
"""(what a box said before, what it says now) -> type, reason and message of each event."""


@dataclass(frozen=True)
class BoxRow:
    """An enrolled box. `public_key` is Ed25519, hex; `revoked` is when that was, or 0."""

    name: str
    public_key: str
    enrolled: int
    revoked: int = 0


# Made once: to make a statement takes longer than to run it, and a report is taken for each box every few minutes.
ROW = select(tables.boxes).where(tables.boxes.c.name == bindparam("box"))
SAID = select(tables.reports.c.document).where(tables.reports.c.box == bindparam("box"))
LAST = select(tables.reports.c.since, tables.reports.c.document).where(tables.reports.c.box == bindparam("box"))


class Boxes:
    """Enrolment and reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def row(self, name: str) -> BoxRow | None:
        with self._database.read() as connection:
            row = connection.execute(ROW, {"box": name}).first()
        return BoxRow(row.name, row.public_key, row.enrolled, row.revoked) if row else None

    def enroll(self, name: str, public_key: str) -> None:
        """Remember a box's public key (Ed25519, hex); a replaced box gets a new one."""
        columns = {"public_key": public_key, "enrolled": int(time.time()), "revoked": 0}
        with self._database.write() as connection:
            upsert(connection, tables.boxes, {"name": name}, columns)

    def replace_key(self, name: str, old: str, new: str) -> bool:
        """Put `new` in the place of `old`, if that is still the key and counts."""
        same, columns = tables.boxes.c, {"public_key": new, "enrolled": int(time.time())}
        where = (same.name == name, same.public_key == old, same.revoked == 0)
        with self._database.write() as connection:
            return bool(connection.execute(update(tables.boxes).where(*where).values(columns)).rowcount)

    def revoke(self, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(update(tables.boxes).where(tables.boxes.c.name == name).values(revoked=int(time.time())))

    def report(self, box: str) -> Report | None:
        """The newest one."""
        with self._database.read() as connection:
            text = connection.scalar(SAID, {"box": box})
        return documents.report(text) if text else None

    def heard(self, key: str, boot_id: str, counter: int) -> bool:
        """Whether the box that has this key said so much in that boot, or more, under its name."""
        with self._database.read() as connection:
            return boots.heard(connection, key, boot_id, counter)

    def save_report(self, report: Report, now: int | None = None, news: News | None = None) -> bool:
        """Keep the newest report of a box, with what is new in it as events: all in one transaction.

        False: this (boot, counter) or a later one of that boot was seen already. A power cut may take the last few
        seconds' reports: a box repeats what it says (ADR 18).
        """
        received = int(time.time()) if now is None else now
        with self._database.write(durable=False) as connection:
            if not boots.count(connection, report, received):
                return False
            row, before = _last(connection, report.box)
            if not before or before.boot_id != report.boot_id:
                boots.forget(connection, report)
            since = row.since if row and before and same(before, report) else received
            columns = {"received": received, "since": since, "failed": _failed(connection, report), **_columns(report)}
            upsert(connection, tables.reports, {"box": report.box}, columns)
            events = news(before, report) if news else []
            append(connection, [Event(received, report.box, *each) for each in events])
        return True


def _last(connection: Connection, box: str) -> tuple[Any, Report | None]:
    """Of what is damaged, nothing: the new one takes its place."""
    with suppress(DamagedRowError), damage():
        row = connection.execute(LAST, {"box": box}).first()
        return row, documents.report(row.document) if row else None
    return None, None


def _columns(report: Report) -> Json:
    failures = canonical([asdict(failure) for failure in report.failures]).decode()
    words = {name: getattr(report, name) for name in ("release", "content", "sequence", "health", "phase", "error")}
    return words | {"failures": failures, "document": documents.dump(report)}


def _failed(connection: Connection, report: Report) -> str:
    """The contents of the releases that the box reports `failed` for, as far as they are remembered."""
    bad = {failure.release for failure in report.failures if failure.verdict == Verdict.FAILED}
    if not bad:
        return ""
    columns = tables.releases.c
    contents = connection.scalars(select(columns.content).where(columns.release.in_(bad)).distinct())
    return " ".join(sorted(contents))
