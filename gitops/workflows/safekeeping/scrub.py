"""What boxes are offered is read again, a little at a time: a disk that forgets says nothing by itself.

In: a store. Out: what was damaged is gone, so that the next pass makes it again. Rules: digest or verity root decide;
so many bytes in a sweep, everything in turn; a file that the disk does not give any more is damaged.

    Scrubber(store, journal).scrub()
"""

from collections.abc import Iterator
from pathlib import Path

from gitops.errors import AssembleError
from gitops.model import Happened
from gitops.store import Store
from gitops.store.files.blobs import digest_file
from gitops.store.files.verity import root_hash
from gitops.workflows.journal import Journal

PORTION = 1 << 30
"""Bytes that are read in one sweep."""


class Scrubber:
    """Of one store; remembers how far it came."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store, self._journal = store, journal
        self._done = set[str]()

    def scrub(self) -> None:
        """Read the next portion, and let go what is not what its name says."""
        left = PORTION
        offered = [*self._offered()]
        if all(name in self._done for name, _, _ in offered):
            self._done.clear()
        for name, path, is_layer in offered:
            if name in self._done or not path.is_file():
                continue
            if left <= 0:
                return
            self._done.add(name)
            left -= path.stat().st_size
            if _digest(path, is_layer=is_layer) != name:
                (self._store.layers if is_layer else self._store.blobs).remove(name)
                kind = "layer" if is_layer else "blob"
                words = f"{kind} {name} was damaged on the disk and is made again; look after {path.parent}"
                self._journal.warning(Happened.DAMAGED, words)

    def _offered(self) -> Iterator[tuple[str, Path, bool]]:
        seen = set[str]()
        for made in self._store.offers.made():
            for name in (*made.blobs, *made.layers):
                if name not in seen:
                    seen.add(name)
                    is_layer = name in made.layers
                    yield name, (self._store.layers if is_layer else self._store.blobs).path(name), is_layer


def _digest(path: Path, *, is_layer: bool) -> str:
    try:
        return root_hash(path) if is_layer else digest_file(path).sha256
    except (OSError, AssembleError):
        return ""
