"""What is signed, read without any key: by whoever has the folder of the metadata.

Reader().offered(Folder(metadata))      # as `Signer.offered`
files_of(folder.read, "boxes/demo-1")   # the three files of a repository, of one moment
"""

import json
from collections.abc import Mapping

from gitops.model import Target
from gitops.sign import tuf
from gitops.sign.shared.bins import Bins, Published
from gitops.sign.small.fleet import Shelf, Small
from gitops.sign.small.repository import NAMES


class Reader:
    """Reads what a `Signer` signed. It is our own: the signatures are not checked again."""

    def offered(self, shelf: Shelf) -> dict[str, Mapping[str, Target] | None]:
        """What each box's own repository offers; None: it is damaged."""
        return Small().offered(shelf)

    def targets(self, published: Published) -> dict[str, Target]:
        """What the repository of all boxes offers.

        Raises:
            SignError: it cannot be read.
        """
        return tuf.read_targets(published, Bins())


def files_of(published: Published, repository: str) -> list[tuple[str, bytes]]:
    """The files of a small repository, whatever is published meanwhile; none, where it is damaged."""
    found: list[tuple[str, bytes]] = []
    name = f"{repository}/timestamp.json"
    for role in NAMES:
        if (data := published(name)) is None:
            return []
        found.insert(0, (name, data))
        try:
            leads = json.loads(data)["signed"].get("meta", {})
            name = next((f"{repository}/{int(row['version'])}.{file}" for file, row in leads.items()), "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return []
        if not name and role != NAMES[-1]:
            return []
    return found
