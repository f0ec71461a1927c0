"""Boot files and layers: brought in pieces, proven, then named.

In: a source, what is wanted by digest or verity root, a folder. Out: files under their names. Rules: nothing has its
name before it is proven; what was half brought is gone on with; what is not what its name says is thrown away whole;
the packed copy of a layer is taken where there is one, and unpacks to the layer's size or is no copy.

    bring_blob(source, "targets/site-7/HEX.uki.efi", ref, copy)
    bring_layer(source, layer, copy)
"""

import os
from pathlib import Path

from gitops.errors import ProcessError, TowerosError
from gitops.model import BlobRef, Layer
from gitops.model.provenance import MAX_ATTESTATION
from gitops.noc.copy import Copy
from gitops.noc.origin import OriginError, Source
from gitops.process import piped
from gitops.store.files.blobs import digest_file, sync_folder
from gitops.store.files.verity import root_hash

PIECE = 1 << 20
WINDOW = 27
"""Bits of zstd's window: 128 MiB, as the origin packs."""


class ContentError(TowerosError):
    """What came is not what was asked for."""


def bring_blob(source: Source, name: str, ref: BlobRef, copy: Copy) -> None:
    """A boot file or a release document. Raises ContentError, OriginError, OSError."""
    if copy.blobs.has(ref.sha256):
        return
    part = copy.part(ref.sha256)
    if not part.exists() or part.stat().st_size != ref.size:
        source.bring(name, part, ref.size)
    if digest_file(part) != ref:
        part.unlink()
        raise ContentError(f"{name}: it has another digest than what is signed")
    _name(part, copy.blobs.path(ref.sha256))


def bring_layer(source: Source, layer: Layer, copy: Copy) -> None:
    """A layer, and its packed copy. Raises ContentError, OriginError, OSError."""
    if copy.has_layer(layer):
        return
    try:
        _packed(source, layer, copy)
    except (OriginError, ContentError) as error:
        if isinstance(error, OriginError) and not (error.missing or error.large):
            raise
        try:
            _raw(source, layer, copy)
        except OriginError as other:
            raise error if other.missing else other from other


def _packed(source: Source, layer: Layer, copy: Copy) -> None:
    part, raw = copy.part(f"{layer.root}.zst"), copy.part(f"{layer.root}.unpacked")
    source.bring(f"layers/{layer.root}.zst", part, layer.size)
    try:
        unpack(part, raw, layer)
        _name(part, copy.layers.zst(layer.root))
        if copy.raw:
            _name(raw, copy.layers.path(layer.root))
    except ContentError:
        part.unlink()
        raise
    finally:
        raw.unlink(missing_ok=True)


def _raw(source: Source, layer: Layer, copy: Copy) -> None:
    part = copy.part(layer.root)
    if not part.exists() or part.stat().st_size != layer.size:
        source.bring(f"layers/{layer.root}", part, layer.size)
    try:
        prove(part, layer)
    except ContentError:
        part.unlink()
        raise
    _name(part, copy.layers.path(layer.root))


def unpack(packed: Path, raw: Path, layer: Layer) -> None:
    """What a packed copy holds, proven. Raises ContentError; OSError: it cannot be written."""
    command = ["zstd", "-d", "-q", "-c", f"--long={WINDOW}"]
    try:
        with packed.open("rb") as source, raw.open("wb") as target, piped(command, source, "install zstd") as out:
            while (left := layer.size + 1 - target.tell()) and (piece := out.read(min(PIECE, left))):
                target.write(piece)
    except ProcessError as error:
        if error.code is None and "not installed" in error.message:
            raise
        raise ContentError(f"layer {layer.root[:12]}: its packed copy is damaged") from error
    prove(raw, layer)


def prove(file: Path, layer: Layer) -> None:
    """Raises ContentError when a file is not this layer."""
    size = file.stat().st_size
    if size != layer.size:
        raise ContentError(f"layer {layer.root[:12]}: it has {size} bytes, not {layer.size}")
    if root_hash(file) != layer.root:
        raise ContentError(f"layer {layer.root[:12]}: it has another verity root")


def bring_attestation(source: Source, subject: str, copy: Copy) -> None:
    """Who built it. Its signature is the boxes' to judge, who know the builders; none need be there.

    Raises OriginError, OSError."""
    try:
        data = source.get(f"attestations/{subject}.json", MAX_ATTESTATION)
    except OriginError as error:
        if not error.missing:
            raise
        return
    if copy.attestations.read(subject) != data:
        copy.attestations.write(subject, data)


def _name(part: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.chmod(0o644)
    part.replace(target)
    sync_folder(target.parent)
