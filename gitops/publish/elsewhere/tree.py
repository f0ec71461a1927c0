"""What there is to copy: the files that the update server serves, by their paths below it.

In: a store, and what its metadata offer. Out: path -> where the file is. Rules: it is what the server would answer
with, no more and no less, so nothing here decides what boxes need; metadata are walked as they lie, in any folders;
what is begun (`.new-*`) is no file yet.

    tree = Tree(store, publisher.offered)
    stamps = tree.stamps()          # first: all that these lead to is on the disk by now
    files = tree.files()
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops.model import BlobRef, Target
from gitops.publish.elsewhere.kinds import kind_of
from gitops.publish.targets import NEXT, RELEASE
from gitops.store import Store

STAMP = "timestamp.json"
NAMES = {"release": RELEASE, "uki": "uki.efi", "addon": "addon.efi"}
"""Of what waits for its turn: member of `next` -> how its target is called."""


@dataclass(frozen=True)
class Source:
    """A file to copy. `size` in bytes; `changed`: nanoseconds of its last change."""

    place: Path
    size: int
    changed: int


class Tree:
    """What one store's server serves. `offered`: what the published metadata offer now."""

    def __init__(self, store: Store, offered: Callable[[], Mapping[str, Target]]) -> None:
        self._store, self._offered = store, offered

    def stamps(self) -> dict[str, bytes]:
        """The timestamps as they are now: they alone change under their names, and say what holds."""
        folder = self._store.paths.metadata
        return {f"metadata/{path.relative_to(folder)}": path.read_bytes() for path in sorted(folder.rglob(STAMP))}

    def files(self) -> dict[str, Source]:
        """All others."""
        return {
            path: found
            for path, place in self._places()
            if not path.endswith(f"/{STAMP}") and kind_of(path) and (found := _source(place))
        }

    def _places(self) -> Iterator[tuple[str, Path]]:
        paths = self._store.paths
        yield from _below("layers", paths.layers)
        yield from _below("deltas", paths.layers / "deltas")
        yield from _below("attestations", paths.attestations)
        yield from _below("metadata", paths.metadata)
        for path, digest in self._targets():
            box, _, name = path.partition("/")
            yield f"targets/{box}/{digest}.{name}", self._store.blobs.path(digest)

    def _targets(self) -> Iterator[tuple[str, str]]:
        for path, target in self._offered().items():
            yield path, target.ref.sha256
            for member, ref in dict(target.custom.get(NEXT) or {}).items():
                if member in NAMES:
                    yield f"{path.partition('/')[0]}/{NAMES[member]}", BlobRef(**ref).sha256


def _below(prefix: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for above, _, names in os.walk(folder):
        for name in names:
            place = Path(above, name)
            yield f"{prefix}/{place.relative_to(folder)}", place


def _source(place: Path) -> Source | None:
    """None: it is gone by now."""
    try:
        known = place.stat()
    except OSError:
        return None
    return Source(place, known.st_size, known.st_mtime_ns)
