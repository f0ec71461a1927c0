"""What starts a box by the network, brought to a site.

In: the digest that the signed metadata name, a source, a copy. Out: the document, and all that it names under its
digests: boot files, the releases that it starts, their layers. Rules: nothing is kept that is not what is signed; what
nobody brings (a bundle has no such files, an origin of before no such document) leaves what was here.

    found = document(source, copy, "kiosk-3", digest)
    content(source, copy, found, needed)
"""

from gitops.model import Layer, Release, sha256
from gitops.noc.content import ContentError, bring_attestation, bring_blob, bring_layer
from gitops.noc.copy import Copy
from gitops.noc.origin import OriginError, Source
from gitops.store.files.blobs import HEX
from gitops.workflows.media.elsewhere import MAX_DOCUMENT, Elsewhere

MAX_RELEASE = 4 << 20
"""Bytes of a release document."""


def document(source: Source, copy: Copy, box: str, digest: str) -> Elsewhere | None:
    """None: it is not to be had.

    Raises:
        ContentError, DocumentError: it is not what is signed, or starts no box. OriginError, OSError, StoreError.
    """
    if not HEX.fullmatch(digest):
        raise ContentError(f"{box}: what starts it by the network is named by no digest")
    if not copy.blobs.has(digest):
        try:
            data = source.get(f"boot/files/{digest}", MAX_DOCUMENT)
        except OriginError as error:
            if not error.missing:
                raise
            return None
        if sha256(data) != digest:
            raise ContentError(f"{box}: what starts it by the network has another digest than what is signed")
        copy.blobs.put(data)
    return Elsewhere.parse(box, copy.blobs.read(digest))


def releases(source: Source, copy: Copy, found: Elsewhere) -> dict[str, Release]:
    """The releases that are handed out, by digest. Raises as `document`."""
    known = dict[str, Release]()
    for ref in found.files():
        if ref.sha256 in found.sizes:
            if ref.size > MAX_RELEASE:
                raise ContentError(f"{found.box}: a release document of {ref.size} bytes")
            bring_blob(source, f"targets/{found.box}/{ref.sha256}.release.json", ref, copy)
            known[ref.sha256] = Release.parse(copy.blobs.read(ref.sha256))
    return known


def layers_of(known: dict[str, Release]) -> dict[str, Layer]:
    """Root -> layer."""
    return {layer.root: layer for release in known.values() for layer in release.layers()}


def content(source: Source, copy: Copy, found: Elsewhere, layers: dict[str, Layer], needed: set[str]) -> None:
    """All that it names. `needed`: what stays when there is no room.

    Raises:
        ContentError: it is not what is signed. OriginError, OSError; StoreError: there is no room.
    """
    absent = [layer for layer in layers.values() if not copy.has_layer(layer)]
    files = [ref for ref in found.files() if not copy.blobs.has(ref.sha256)]
    if absent or files:
        largest = max((layer.size for layer in absent), default=0)
        copy.make_room(2 * sum(each.size for each in absent) + sum(each.size for each in files) + largest, needed)
    for ref in files:
        bring_blob(source, f"boot/files/{ref.sha256}", ref, copy)
    for layer in absent:
        bring_layer(source, layer, copy)
        bring_attestation(source, layer.root, copy)
