"""Forget what nobody needs any more: blobs, layers, deltas and images of the controller's store.

In: the store, the packages of the current fleet, the time. Out: what went. Rules: what a box runs (as it last reported)
or is asked to run stays, with the files that the current fleet is built from; anything else stays `grace` seconds more
(longer than the slowest download), counted from its last write. Files first, then the rows: a pass that
is stopped midway leaves rows that point to nothing, and those are made again.

    gone = collect(store, fleet.packages.values(), now=time.time(), grace=settings.grace)
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from gitops.errors import StoreError
from gitops.model import Package, Publication
from gitops.store import Store
from gitops.store.notes.documents import (
    AppImageBlobs,
    AppImages,
    BoxInventories,
    BuiltAt,
    FeedState,
    InventoryDocuments,
    LastDeployed,
    LayerInventories,
    PartIndex,
)
from gitops.store.notes.netboot import BootSets, kept
from gitops.store.rows.reading import DamagedRowError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Collected:
    """How many files went, and their bytes."""

    files: int = 0
    size: int = 0


def collect(store: Store, packages: Iterable[Package], *, now: float, grace: int) -> Collected:
    """Remove what is neither needed nor young."""
    store.lease.check()
    current = tuple(packages)
    try:
        blobs, layers = _needed(store, current)
    except DamagedRowError as error:  # what its box needs is not known: nothing goes
        log.warning("collect.waits", error=error.message)
        return Collected()
    stale = [path for path in _unneeded(store, blobs, layers) if now - path.stat().st_mtime > grace]
    size = sum(path.stat().st_size for path in stale)
    for path in stale:
        path.unlink(missing_ok=True)
    _forget_images(store, current)
    store.notes.forget(BuiltAt, store.notes.each(BuiltAt).keys() - store.builds.image_keys())
    return Collected(len(stale), size)


def _needed(store: Store, packages: tuple[Package, ...]) -> tuple[set[str], set[str]]:
    """The blobs and layers of what is built, of what boxes are asked to run, and of what they run."""
    blobs, layers = _needed_to_build(store, packages) | _evidence(store) | _inventories(store, packages), set[str]()
    for publication in store.offers.each():
        blobs |= _files(publication)
        layers |= {layer.root for layer in publication.release.layers()}
    files, releases = kept(store.notes.each(BootSets))
    for digest in _running(store) | releases:
        blobs |= {digest, *files}
        with contextlib.suppress(StoreError):
            layers |= {layer.root for layer in store.release(digest).layers()}
    return blobs, layers


def _running(store: Store) -> set[str]:
    """The releases that boxes run, other than those that they are offered."""
    states = [state for state in store.states.all() if state.published.release or state.damaged]
    if damaged := [f"{state.name}: {state.damaged}" for state in states if state.damaged]:
        raise DamagedRowError(damaged[0])
    return {each.running.release for each in states if each.running.release not in ("", each.published.release)}


def _evidence(store: Store) -> set[str]:
    """What proves the deployed revision: it may change no box now, and be what a box is made from later."""
    deployed = store.notes.get(LastDeployed)
    return {ref.sha256 for ref in deployed.revision.evidence} if deployed else set()


def _needed_to_build(store: Store, packages: tuple[Package, ...]) -> set[str]:
    needed = {locked.sha256 for package in packages for locked in package.lock}
    indexes = store.notes.each(PartIndex)
    needed |= {indexes[digest].sha256 for digest in needed & indexes.keys()}
    needed |= {digest for digests in (store.notes.get(AppImages) or AppImages()).rows.values() for digest in digests}
    for name in {name for package in packages for name in package.bases}:
        digest = name.rpartition(":")[2]
        based = store.notes.get(AppImageBlobs, digest) or AppImageBlobs()
        needed |= {digest, *(ref.sha256 for ref in based.blobs)}
    for package in packages:
        image = store.builds.image(package.key)
        needed |= set(image.layers) if image else set()
    return needed


def _inventories(store: Store, packages: tuple[Package, ...]) -> set[str]:
    """What is said to be inside of the current packages and foreign images and of the boxes' latest releases, and what
    feeds say of it."""
    images = {name.rpartition(":")[2] for name in (store.notes.get(AppImages) or AppImages()).rows}
    current = {package.key for package in packages} | images
    known = store.notes.each(LayerInventories).items()
    needed = {ref.sha256 for key, found in known if key.partition(".")[0] in current for ref in found.rows.values()}
    inside = {digest for box in store.notes.each(BoxInventories).values() for _, digest in box.releases}
    documents = store.notes.each(InventoryDocuments).items()
    feeds = {state.index.sha256 for state in store.notes.each(FeedState).values() if state.index}
    return (
        needed | inside | feeds | {ref.sha256 for key, made in documents if key in inside for ref in made.rows.values()}
    )


def _files(publication: Publication) -> set[str]:
    refs = (*publication.files.values(), publication.release.content.kernel, publication.release.content.initrd)
    return {ref.sha256 for ref in (*refs, *publication.revision.evidence)}


def _unneeded(store: Store, blobs: set[str], layers: set[str]) -> Iterator[Path]:
    yield from (store.blobs.path(digest) for digest in store.blobs.names() - blobs)
    yield from store.attestations.others(blobs | layers)  # they are named by the release document's digest, or the root
    for root in store.layers.names() - layers:
        yield from (path for path in (store.layers.path(root), store.layers.zst(root)) if path.exists())
    for delta in store.layers.deltas():
        if delta.name.partition(".")[0] not in layers:
            yield delta


def _forget_images(store: Store, packages: tuple[Package, ...]) -> None:
    """An image whose layer tars are gone cannot be used again."""
    current = {package.key for package in packages}
    for key in store.builds.image_keys() - current:
        image = store.builds.image(key)
        if image and not all(store.blobs.has(diff_id) for diff_id in image.layers):
            store.builds.forget_image(key)
