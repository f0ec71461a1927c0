"""How many bytes boxes fetched, by day: as they say themselves with the first report of a release.

In: what a box said before, and what it says now. Out: the document `Traffic`. Rules: an update counts once; the last
`DAYS` are kept; what a box says counts up to `MOST`, so that one that lies does not bend the picture of years.

    fetched = Fetched()
    store.boxes.save_report(report, news=fetched.news(changes))
    fetched.keep(store, now)
"""

import contextlib
from datetime import UTC, datetime

import structlog

from gitops.errors import StoreError
from gitops.model import EventType, Report
from gitops.store import LeaseError, Store
from gitops.store.boxes import News
from gitops.store.notes.directory import Traffic

log = structlog.get_logger(__name__)

DAYS, MOST = 90, 1 << 36


class Fetched:
    """Of one report."""

    def __init__(self) -> None:
        self.bytes = 0

    def news(self, told: News) -> News:
        """What `told` tells; looks at both reports, too."""

        def look(before: Report | None, after: Report) -> list[tuple[EventType, str, str]]:
            said = after.fetched.get("bytes")
            if before and before.release != after.release and isinstance(said, int) and said > 0:
                self.bytes = min(said, MOST)
            return told(before, after)

        return look

    def keep(self, store: Store, now: int) -> None:
        """Add it to its day (`now`: Unix seconds); what is damaged begins anew."""
        if not self.bytes:
            return
        day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        try:
            store.notes.change(Traffic, lambda old: _added(old, day, self.bytes))
        except LeaseError:
            raise
        except StoreError as error:
            log.warning("traffic.damaged", why=error.message)
            with contextlib.suppress(StoreError):  # no box waits for this
                store.notes.put(_added(Traffic(), day, self.bytes))


def _added(old: Traffic, day: str, more: int) -> Traffic:
    rows = {**old.rows, day: old.rows.get(day, 0) + more}
    return Traffic({name: rows[name] for name in sorted(rows)[-DAYS:]})
