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

from gitops.errors import StoreError
from gitops.model import Package, Publication, Release
from gitops.store import Store

APP_IMAGES = "app-images"
"""The store's document of what boxes need of images that no package makes: reference -> digests of blobs."""


@dataclass(frozen=True)
class Collected:
    """How many files went, and their bytes."""

    files: int = 0
    size: int = 0


def collect(store: Store, packages: Iterable[Package], *, now: float, grace: int) -> Collected:
    """Remove what is neither needed nor young."""
    current = tuple(packages)
    blobs, layers = _needed_blobs(store, current), _needed_layers(store)
    stale = [path for path in _unneeded(store, blobs, layers) if now - path.stat().st_mtime > grace]
    size = sum(path.stat().st_size for path in stale)
    for path in stale:
        path.unlink(missing_ok=True)
    _forget_images(store, current)
    return Collected(len(stale), size)


def releases(store: Store) -> Iterator[Release]:
    """Every release that a box runs or is asked to run."""
    for name, publication in store.offers.all_published().items():
        yield publication.release
        running = store.boxes.report(name)
        if running and running.release != publication.document.sha256:
            with contextlib.suppress(StoreError):
                yield store.release(running.release)
    yield from (candidate.release for candidate in store.offers.all_candidates().values())


def _needed_layers(store: Store) -> frozenset[str]:
    return frozenset(layer.root for release in releases(store) for layer in release.layers())


def _needed_blobs(store: Store, packages: tuple[Package, ...]) -> frozenset[str]:
    needed = {locked.sha256 for package in packages for locked in package.lock}
    needed |= {digest for digests in (store.notes.value(APP_IMAGES) or {}).values() for digest in digests}
    for package in packages:
        image = store.builds.image(package.key)
        needed |= set(image.layers) if image else set()
    for publication in (*store.offers.all_published().values(), *store.offers.all_candidates().values()):
        needed |= _files(publication)
    for name in store.offers.all_published():
        running = store.boxes.report(name)
        needed |= {running.release} if running else set()
    return frozenset(needed)


def _files(publication: Publication) -> set[str]:
    content = publication.release.content
    refs = (publication.document, publication.uki, publication.addon, content.kernel, content.initrd)
    return {ref.sha256 for ref in (*refs, *publication.revision.evidence)}


def _unneeded(store: Store, blobs: frozenset[str], layers: frozenset[str]) -> Iterator[Path]:
    yield from (store.blobs.path(digest) for digest in store.blobs.digests() if digest not in blobs)
    for root in store.layers.roots():
        if root not in layers:
            yield from (path for path in (store.layers.path(root), store.layers.zst(root)) if path.exists())
    for delta in store.layers.deltas():
        if delta.stem not in layers:
            yield delta


def _forget_images(store: Store, packages: tuple[Package, ...]) -> None:
    """An image whose layer tars are gone cannot be used again."""
    current = {package.key for package in packages}
    for key in store.builds.image_keys() - current:
        image = store.builds.image(key)
        if image and not all(store.blobs.has(diff_id) for diff_id in image.layers):
            store.builds.forget_image(key)
