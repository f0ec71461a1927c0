"""Documents on people, of which a damaged one costs nobody else anything: it opens nothing, and is left where it is.

every(store.notes, Account)      # {"ada": Account(...)}
one(store.notes, Account, "ada")
"""

from collections.abc import Mapping
from typing import TypeVar

import structlog

from gitops.errors import StoreError
from gitops.store import LeaseError
from gitops.store.notes.notes import Notes

T = TypeVar("T")
log = structlog.get_logger(__name__)


def every(notes: Notes, kind: type[T]) -> Mapping[str, T]:
    """Those that can be read, by the key."""
    try:
        return notes.each(kind)
    except LeaseError:
        raise
    except StoreError:
        found = {key: one(notes, kind, key) for key in notes.keys(kind)}
        return {key: document for key, document in found.items() if document is not None}


def one(notes: Notes, kind: type[T], key: str) -> T | None:
    """None: there is none that can be read."""
    try:
        return notes.get(kind, key)
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("people.damaged", why=error.message)
        return None
