"""What is offered now, as the published metadata say it: they are the only memory of that.

In: the boxes' own repositories; for those that have none yet, the one of all boxes. Out: path -> target. Rules: a
repository that is damaged says nothing: what was promised to its box last is made of the store's record of it.

    offered(signer, folder, store)
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from gitops.model import Target
from gitops.model.paths.repositories import BOXES, SITES, box_repository
from gitops.publish.folder import Folder
from gitops.publish.targets import box_of, targets_of
from gitops.store import Store

WHOLE = f"{BOXES}/.whole"
"""Below the metadata, once each box has a repository of its own."""


class Offering(Protocol):
    """Reads what is signed."""

    def offered(self, shelf: Folder) -> Mapping[str, Mapping[str, Target] | None]:
        """Repository of a box -> its targets; None: it is damaged."""

    def targets(self, published: Callable[[str], bytes | None]) -> dict[str, Target]:
        """What the repository of all boxes offers."""


def offered(signer: Offering, folder: Folder, store: Store | None = None) -> dict[str, Target]:
    """Everything that is offered. Without a store, nothing of a damaged repository."""
    found = {name: each for name, each in signer.offered(folder).items() if not name.startswith(f"{SITES}/")}
    own = {path: target for each in found.values() if each is not None for path, target in each.items()}
    for repository, each in found.items():
        box = repository.removeprefix(f"{BOXES}/")
        if each is None and box != repository and store and (publication := store.offers.published(box)):
            own |= targets_of(publication)
    if folder.stamp(WHOLE):
        return own
    shared = signer.targets(folder.read)
    return {path: each for path, each in shared.items() if box_repository(box_of(path)) not in found} | own
