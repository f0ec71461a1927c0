"""Whether a box's disk takes what it would be offered, beside what it keeps: asked before anything is published.

In: publications, and what is known of disks: as their boxes reported them, else as `toweros box image` made them. Out:
what is short, with both figures. Rules: a box keeps what it runs and its way back until a new release is proven; of a
box that is not known nothing is said (it refuses by itself what does not fit); a release that is no longer in the store
counts nothing.

    Disks(store).shortage(publication)      # "the layers need 2100 MiB of TOWEROS, which has room for 1920 MiB"
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress

from gitops.errors import DocumentError, StoreError
from gitops.model import Layer, Publication
from gitops.model.room import together
from gitops.store import Store
from gitops.store.notes.box_keys import BoxDisk


class Disks:
    """The disks of one store's boxes, as they are known now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, boxes: Iterable[str]) -> AbstractContextManager[None]:
        """In this context, what is known of these is what it was at its beginning: one query for all."""
        return self._store.notes.together(*((BoxDisk, box) for box in boxes))

    def shortage(self, publication: Publication) -> str:
        """What does not fit; empty when all does, or nothing is known."""
        disk = self._store.notes.get(BoxDisk, publication.release.box)
        if disk is None:
            return ""
        layers = together((publication.release.layers(), *self._kept(publication.release.box, disk)))
        return disk.room.shortage(layers, publication.uki.size + publication.addon.size)

    def _kept(self, box: str, disk: BoxDisk) -> Iterator[tuple[Layer, ...]]:
        report, published = self._store.boxes.report(box), self._store.offers.published(box)
        running = report.release if report else published.document.sha256 if published else ""
        for digest in filter(None, (running, disk.back)):
            with suppress(StoreError, DocumentError):
                yield self._store.release(digest).layers()
