"""Where Git says that each box stands, and what it is: for who asks the store alone (status, pages, metrics, notices).

In: the fleet of a pass. Out: one document, which nothing else writes. Rules: it is written when something in it
changed; what is damaged is written again by the next pass, and until then nobody knows where anything is.

    remember(store, fleet)
    places(store)["site-7"]         # Place("vm", "Berlin", {"ring": "1"}, 30)
"""

from collections.abc import Mapping
from typing import TypeVar
from unicodedata import category

import structlog

from gitops.errors import StoreError
from gitops.model import Fleet
from gitops.store import LeaseError, Store
from gitops.store.notes.directory import Place, Roster
from gitops.store.notes.notices import NotifyRules

T = TypeVar("T")
log = structlog.get_logger(__name__)

SITE = 200
"""Characters of a site's name."""


def remember(store: Store, fleet: Fleet) -> None:
    """Of every box; and who is told of what happens to them."""
    if (rules := NotifyRules(fleet.policy.notify)) != (_kept(store, NotifyRules) or NotifyRules()):
        store.notes.put(rules)
    made = {box.name: Place(box.role, _line(box.site), dict(box.labels), box.poll) for box in fleet.boxes.values()}
    if made != places(store):
        store.notes.put(Roster(made))


def places(store: Store) -> Mapping[str, Place]:
    """As of the last pass; empty before the first one."""
    found = _kept(store, Roster)
    return found.rows if found else {}


def _line(site: str) -> str:
    """A site's name as one line, as long as pages take it."""
    return " ".join("".join(letter if category(letter) != "Cc" else " " for letter in site).split())[:SITE]


def _kept(store: Store, kind: type[T]) -> T | None:
    try:
        return store.notes.get(kind)
    except LeaseError:
        raise
    except StoreError as error:
        log.warning("places.damaged", why=error.message)
        return None
