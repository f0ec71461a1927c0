"""What travels instead of a layer: its zstd copy, and deltas between layers that replace one another.

Rules: made once, skipped when there; the box takes the smallest and proves the result by its root: nothing here needs
to be trusted. A delta is made where a layer of the last release is replaced at the same place of the new one.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from gitops.model import Publication, Release
from gitops.process import run
from gitops.store.files.blobs import Layers, arriving

COPY_LEVEL = 12
"""zstd level of full copies: past it, seconds double for a percent or two."""
DELTA_LEVEL = 12
WINDOW = 27
"""Bits of zstd's window for full copies: 128 MiB, the most that a reader accepts without being asked."""
TIMEOUT = 1800.0
"""Seconds for one layer."""
TWICE_MOST, TWICE_LEAST = 64 << 10, 512
"""Bytes up to which a delta is packed once more, and those that must come of it: each question of a box costs some."""
TWICE_LEVEL = 19


def make_copies(layers: Layers, before: Publication | None, after: Publication) -> None:
    """Everything that a box may fetch instead of a layer of `after`, when it has those of `before`."""
    for layer in after.release.layers():
        compress(layers, layer.root)
    for old, new in pairs(before.release, after.release) if before else ():
        make_delta(layers, old, new)


def compress(layers: Layers, root: str) -> None:
    """Make the zstd copy of a layer, if there is none."""
    if not layers.zst(root).is_file():
        with arriving(layers.zst(root)) as new:
            _zstd(f"-{COPY_LEVEL}", f"--long={WINDOW}", layers.path(root), "-o", new)


def make_delta(layers: Layers, old: str, new: str) -> None:
    """Make the delta from one layer to another, if there is none and both are here."""
    target = layers.delta(old, new)
    if layers.has(old) and layers.has(new) and not target.is_file():
        with arriving(target) as file:
            _zstd(f"-{DELTA_LEVEL}", f"--patch-from={layers.path(old)}", layers.path(new), "-o", file)
        pack_twice(target, layers.twice(old, new))


def pack_twice(plain: Path, target: Path) -> int:
    """Pack a small delta once more (docs/formats.md), where that is worth it: zstd spends some twelve bytes on each 128
    KiB, all of them alike. Returns the bytes of the smaller form."""
    size = plain.stat().st_size
    if size > TWICE_MOST:
        return size
    with tempfile.TemporaryDirectory(dir=plain.parent, prefix=".new-") as folder:
        packed = Path(folder, target.name)
        _zstd(f"-{TWICE_LEVEL}", plain, "-o", packed)
        if size - (less := packed.stat().st_size) < TWICE_LEAST:
            return size
        with arriving(target) as new:
            packed.replace(new)
    return less


def pairs(before: Release, after: Release) -> Iterator[tuple[str, str]]:
    """(old, new) roots of the layers that replace one another, each pair once."""
    shared = {layer.root for layer in before.layers()} & {layer.root for layer in after.layers()}
    old, new = _places(before, shared), _places(after, shared)
    replaced = {pair: None for place in new for pair in zip(old.get(place, ()), new[place], strict=False)}
    yield from replaced


def _places(release: Release, shared: set[str]) -> dict[str, list[str]]:
    """Per place (the root, or a container's path), the layers that only this release has."""
    places = {"": release.content.root} | {mounted.path: mounted.layers for mounted in release.content.containers}
    return {place: [layer.root for layer in layers if layer.root not in shared] for place, layers in places.items()}


def _zstd(*arguments: object) -> None:
    run(["zstd", "-q", "-f", *(str(word) for word in arguments)], timeout=TIMEOUT, hint="install zstd")
