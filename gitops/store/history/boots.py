"""Which reports of a box were seen: the greatest counter of each of its boots, so that none is taken twice.

In: a report, when it came. Out: whether it is ahead of what was seen of its boot. Rules: one statement decides, as two
servers may be told the same; a box starts anew for years, so the one that speaks and its `KEPT` last heard before it
are kept. A report of an older boot, recorded then, could be taken again: it counts until the box's next one.

    boots.count(connection, report, now)        # False: seen already
    boots.forget(connection, report)            # the first of a boot
    boots.heard(connection, key, boot_id, 42)   # by a key, whatever name it came under
"""

from functools import cache
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from gitops.model import Report
from gitops.store.database import inserter
from gitops.store.tables import boots, boxes

KEPT = 1000
"""Boots of one box: three years of one a day, and a day and a half of one every two minutes."""


def count(connection: Connection, report: Report, now: int) -> bool:
    """Take the counter of this boot forward; False when it is not ahead. `now`: Unix seconds."""
    row = {"box": report.box, "boot_id": report.boot_id, "counter": report.counter, "heard": now}
    return connection.scalar(_counting(connection.dialect.name), row) is not None


def heard(connection: Connection, key: str, boot_id: str, counter: int) -> bool:
    """Whether the box that has this key (hex) was heard in that boot, as far as this counter."""
    ours = (boxes.c.public_key == key, boxes.c.revoked == 0, boxes.c.name == boots.c.box)
    asked = select(boots.c.box).where(*ours, boots.c.boot_id == boot_id, boots.c.counter >= counter)
    return connection.scalar(asked.limit(1)) is not None


def forget(connection: Connection, report: Report) -> None:
    """Let the oldest other boots of this box go."""
    others = (boots.c.box == report.box, boots.c.boot_id != report.boot_id)
    old = select(boots.c.boot_id).where(*others).order_by(boots.c.heard.desc(), boots.c.boot_id).offset(KEPT)
    connection.execute(delete(boots).where(*others, boots.c.boot_id.in_(old)))


@cache
def _counting(dialect: str) -> Any:
    """Made once: to make a statement takes longer than to run it."""
    statement = inserter(dialect, boots)
    return statement.on_conflict_do_update(
        index_elements=["box", "boot_id"],
        set_={"counter": statement.excluded.counter, "heard": statement.excluded.heard},
        where=boots.c.counter < statement.excluded.counter,
    ).returning(boots.c.counter)
