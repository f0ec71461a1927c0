"""What the controller makes now, for pages and the API.

work(store).subject     # "pkg/sshd"
"""

import structlog

from gitops.errors import StoreError
from gitops.store import LeaseError, Store
from gitops.store.notes.working import Work

log = structlog.get_logger(__name__)


def work(store: Store) -> Work:
    """As it was last written down; nothing, where that is damaged."""
    try:
        return store.notes.get(Work) or Work()
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("work.damaged", why=error.message)
        return Work()
