"""What travels instead of a layer: its zstd copy, and deltas between layers that replace one another.

Rules: made once, skipped when there and whole; the box takes the smallest and proves the result by its root: nothing
here needs to be trusted, but a damaged copy is fetched by everybody, in vain. zstd's own checksum says which are whole,
once in a process. A delta is made where a layer of the last release is replaced at the same place of the new one.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog

from gitops.model import Publication, Release
from gitops.process import run
from gitops.store.files.blobs import Layers, Proven, arriving

log = structlog.get_logger(__name__)

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
MEMORY = 2048
"""MiB that unpacking may take: a delta has its layer for a window."""
_WHOLE = Proven()
"""Files that this process made, or unpacked."""


def make_copies(layers: Layers, before: Publication | None, after: Publication) -> None:
    """Everything that a box may fetch instead of a layer of `after`, when it has those of `before`."""
    for layer in after.release.layers():
        compress(layers, layer.root)
    for old, new in pairs(before.release, after.release) if before else ():
        make_delta(layers, old, new)


def compress(layers: Layers, root: str) -> None:
    """Make the zstd copy of a layer, if there is none that is whole."""
    if not _whole(layers.zst(root), f"--long={WINDOW}"):
        with arriving(layers.zst(root)) as new:
            _zstd(f"-{COPY_LEVEL}", f"--long={WINDOW}", layers.path(root), "-o", new)
        _WHOLE.holds(layers.zst(root), _made)


def make_delta(layers: Layers, old: str, new: str) -> None:
    """Make the delta from one layer to another, if there is none that is whole and both are here."""
    target, twice = layers.delta(old, new), layers.twice(old, new)
    if not (layers.has(old) and layers.has(new)):
        return
    if not _whole(target, f"--patch-from={layers.path(old)}"):
        twice.unlink(missing_ok=True)
        with arriving(target) as file:
            _zstd(f"-{DELTA_LEVEL}", f"--patch-from={layers.path(old)}", layers.path(new), "-o", file)
        _WHOLE.holds(target, _made)
        pack_twice(target, twice)
    elif twice.is_file() and not _whole(twice):
        twice.unlink()
        pack_twice(target, twice)


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


def _whole(file: Path, *options: str) -> bool:
    """Whether a file is there, and unpacks to what was packed."""

    def unpacks(path: Path) -> bool:
        _zstd("-t", f"--memory={MEMORY}MB", *options, path)
        return True

    whole = _WHOLE.holds(file, unpacks)
    if not whole and file.is_file():
        log.warning("transfer.damaged", file=str(file))
    return whole


def _made(_: Path) -> bool:
    """This process has just made it."""
    return True


def _zstd(*arguments: object) -> None:
    run(["zstd", "-q", "-f", *(str(word) for word in arguments)], timeout=TIMEOUT, hint="install zstd")
