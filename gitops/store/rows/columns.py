"""A publication as a row: what is looked up beside the document, all of it from there.

columns_of(publication)["content"]      # its content digest
"""

from gitops.model import Json, Publication
from gitops.store import documents


def columns_of(publication: Publication) -> Json:
    """What is looked up of it, beside the whole."""
    return {
        "release": publication.document.sha256,
        "content": publication.release.content.digest,
        "revision": str(publication.revision),
        "sequence": publication.revision.sequence,
        "blobs": " ".join(ref.sha256 for ref in publication.files.values()),
        "layers": " ".join(layer.root for layer in publication.release.layers()),
        "document": documents.dump(publication),
    }
