"""Boxes that run from a medium: they take no release, so no other box waits for them to prove one.

In: a store. Out: their names, by what they said last. A record that cannot be read says nothing until that box reports.

    on_media(store)     # {"kiosk-3"}
"""

from collections.abc import Mapping

import structlog

from gitops.errors import StoreError
from gitops.store import Store
from gitops.store.notes.box_keys import BootChecked

log = structlog.get_logger(__name__)

MEDIUM = "medium"


def on_media(store: Store) -> set[str]:
    """Whose last report says that its layers lie on what it was started from."""
    return {box for box, said in boots(store).items() if said.place == MEDIUM}


def boots(store: Store) -> Mapping[str, BootChecked]:
    """What boxes say of how they start, by box."""
    try:
        return store.notes.each(BootChecked)
    except StoreError as error:
        log.warning("boot.damaged", why=error.message)
        return {}
