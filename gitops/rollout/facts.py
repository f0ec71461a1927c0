"""What the rollout must know of a box, read from the store."""

from gitops.errors import DocumentError, StoreError
from gitops.model import Health, Verdict
from gitops.rollout.rules import Facts
from gitops.store import Store

SILENT = 1500
"""Seconds without a report after which a box is Missing: two and a half of the agent's repeats."""


def facts_of(store: Store, box: str, now: float) -> Facts:
    """What the store knows of a box."""
    publication, report, row = store.offers.published(box), store.boxes.report(box), store.boxes.row(box)
    published = publication.release.content.digest if publication else ""
    if report is None:
        return Facts(published)
    releases = [failure.release for failure in report.failures if failure.verdict == Verdict.FAILED]
    failed = frozenset(digest for release in releases if (digest := _content(store, release)))
    silent = row is None or now - row.received > SILENT
    return Facts(published, report.content, Health.MISSING if silent else report.health, failed)


def _content(store: Store, release: str) -> str:
    try:
        return store.release(release).content.digest
    except (StoreError, DocumentError):
        return ""
