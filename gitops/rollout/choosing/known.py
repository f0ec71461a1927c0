"""What is known of boxes beside their status: where they stand, as Git says, and what they said of themselves.

In: the store, the fleet's status. Out: a `Known` for each box.

    known(store, fleet_status(store, now))
"""

from collections.abc import Iterator

from gitops.rollout.choosing.choice import Known
from gitops.rollout.places import places
from gitops.rollout.status import FleetStatus
from gitops.store import Store
from gitops.store.notes.directory import Place


def known(store: Store, fleet: FleetStatus) -> Iterator[Known]:
    """Each box of the fleet."""
    there = places(store)
    for status in fleet.boxes:
        yield Known(status, there.get(status.box, Place()))
