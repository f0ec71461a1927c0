"""How many bytes boxes fetched, by day: as they say themselves with the first report of a release.

In: what a box said before, and what it says now. Out: the documents `Traffic`, and `Spared` where a delta came: what
whole copies of those layers have more. Rules: an update counts once; the last `DAYS` are kept; what a box says counts
up to `MOST`, and spares what layers here have, so that one that lies does not bend the picture of years.

    fetched = Fetched()
    store.boxes.save_report(report, news=fetched.news(changes))
    fetched.keep(store, now)
"""

import contextlib
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog

from gitops.errors import StoreError
from gitops.model import EventType, Report
from gitops.store import LeaseError, Store
from gitops.store.boxes import News
from gitops.store.files.blobs import HEX
from gitops.store.notes.deltas import Spared
from gitops.store.notes.directory import Traffic

log = structlog.get_logger(__name__)

DAYS, MOST, MOST_LAYERS = 90, 1 << 36, 4096
Days = TypeVar("Days", Traffic, Spared)


class Fetched:
    """Of one report."""

    def __init__(self) -> None:
        self.bytes = 0
        self.layers: tuple[str, ...] = ()

    def news(self, told: News) -> News:
        """What `told` tells; looks at both reports, too."""

        def look(before: Report | None, after: Report) -> list[tuple[EventType, str, str]]:
            said = after.fetched.get("bytes")
            if before and before.release != after.release and isinstance(said, int) and said > 0:
                self.bytes = min(said, MOST)
                roots, deltas = after.fetched.get("layers"), after.fetched.get("deltas")
                if isinstance(roots, list) and isinstance(deltas, int) and deltas > 0:
                    self.layers = tuple(dict.fromkeys(each for each in roots[:MOST_LAYERS] if isinstance(each, str)))
            return told(before, after)

        return look

    def keep(self, store: Store, now: int) -> None:
        """Add it to its day (`now`: Unix seconds); what is damaged begins anew."""
        if not self.bytes:
            return
        day = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        _count(store, Traffic, day, self.bytes)
        if (spared := sum(_whole(store, root) for root in self.layers) - self.bytes) > 0:
            _count(store, Spared, day, spared)


def _whole(store: Store, root: str) -> int:
    """Bytes of a layer's copy; 0: there is none here."""
    try:
        return store.layers.zst(root).stat().st_size if HEX.fullmatch(root) else 0
    except OSError:
        return 0


def _count(store: Store, kind: type[Days], day: str, more: int) -> None:
    """No box waits for a document that is damaged."""
    try:
        store.notes.change(kind, partial(_added, kind, day, more))
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("traffic.damaged", why=error.message)
        with contextlib.suppress(StoreError):
            store.notes.put(_added(kind, day, more, kind()))


def _added(kind: type[Days], day: str, more: int, old: Days) -> Days:
    rows = {**old.rows, day: old.rows.get(day, 0) + more}
    return kind({name: rows[name] for name in sorted(rows)[-DAYS:]})
