"""What is inside of a release, as anybody may read it: `/sbom/RELEASE.cdx.json` and `/sbom/RELEASE.spdx.json`.

Rules: RELEASE is the digest of the release's document, as reports, metadata and `toweros status` name it; what nobody
looked into, or is forgotten, is not found.
"""

import re

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from gitops.errors import DocumentError, StoreError
from gitops.server.boxes.files import METHODS, answer, matched
from gitops.store import Store
from gitops.store.notes.documents import BoxInventories, InventoryDocuments

NAME = re.compile(r"([0-9a-f]{64})\.(cdx|spdx)\.json")
TYPES = {"cdx": "application/vnd.cyclonedx+json; version=1.6", "spdx": "application/spdx+json"}


def router(store: Store) -> APIRouter:
    """The route below /sbom."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/sbom/{name:path}", methods=METHODS)
    def sbom(name: str, request: Request) -> Response:
        found = matched(NAME, name)
        return answer(request, store.blobs.path(_document(store, found[1], found[2])), TYPES[found[2]])

    return routes


def _document(store: Store, digest: str, kind: str) -> str:
    """The blob that describes a release."""
    try:
        release = store.release(digest)
    except (StoreError, DocumentError) as error:
        raise HTTPException(404) from error
    inside = store.notes.get(BoxInventories, release.box) or BoxInventories()
    inventory = dict(inside.releases).get(release.content.digest, "")
    made = (store.notes.get(InventoryDocuments, inventory) if inventory else None) or InventoryDocuments()
    if kind not in made.rows:
        raise HTTPException(404, "nobody has looked into this release")
    return made.rows[kind].sha256
