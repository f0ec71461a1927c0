"""What an image's builder says is inside: an SPDX document beside it, as BuildKit and `linuxkit pkg build` write one
(docs.docker.com, "Attestation storage"; in-toto Statement v0.1).

In: an OCI layout, the name of an image. Out: the document, or None. Rules: it counts for the image whose digest it
names; its bytes are compared with its digest. What is no SPDX document is none.

    spdx_of(OciLayout(Path("images")), "linuxkit/init:1")["packages"]
"""

from collections.abc import Iterator

from gitops.model import Json
from gitops.oci.layout import OciLayout, ours

KIND, OF = "vnd.docker.reference.type", "vnd.docker.reference.digest"
ATTESTATION = "attestation-manifest"
PREDICATE, SPDX = "in-toto.io/predicate-type", "https://spdx.dev/Document"


def spdx_of(images: OciLayout, name: str) -> Json | None:
    """Raises AssembleError: the documents of the image are damaged or missing."""
    with images.sound(name):
        index = images.document(images.descriptor(name)) if images.descriptor(name) else {}
        for manifest in _attestations(images, index, name):
            for layer in manifest["layers"]:
                if layer.get("annotations", {}).get(PREDICATE) == SPDX:
                    document: Json = images.document(layer)["predicate"]
                    if str(document.get("spdxVersion", "")).startswith("SPDX-"):
                        return document
    return None


def _attestations(images: OciLayout, index: Json, name: str) -> Iterator[Json]:
    beside = [each for each in index.get("manifests", ()) if (each.get("annotations") or {}).get(KIND) == ATTESTATION]
    image = ours(index, name)["digest"] if beside else ""
    for each in beside:
        if each["annotations"].get(OF) == image:
            yield images.document(each)
