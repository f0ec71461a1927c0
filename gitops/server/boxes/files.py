"""What boxes fetch: metadata, and everything else by digest.

Rules: a name is matched whole against its pattern before it becomes a path; everything but `timestamp.json` never
changes under its name, and says so; HEAD tells the size, Range (one) continues a broken download, ETag saves one.
"""

import os
import re
from pathlib import Path
from typing import Protocol

import structlog
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from gitops.model import sha256
from gitops.publish.deltas.small import changes
from gitops.server.quick import Quick
from gitops.store.files.attestations import Attestations
from gitops.store.files.blobs import Blobs, Layers
from gitops.store.files.deltas import mark
from gitops.store.files.layout import Layout

SMALL = r"(?:boxes/(?:new\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?|(?:claims|sites)/[0-9a-f]{64})/"
METADATA = re.compile(
    rf"(?:{SMALL})?timestamp\.json|[1-9][0-9]{{0,9}}\.(?:root|bin-[0-9a-f]{{1,8}})\.json"
    rf"|(?:{SMALL})?[1-9][0-9]{{0,9}}\.(?:targets|snapshot)\.json"
)
"""The repository of all boxes, and the small ones."""
TARGET = re.compile(
    r"(?:new\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?/([0-9a-f]{64})\.(?:release\.json|(?:uki|addon|loader)\.efi)"
)
"""Below the name of a box, or of a role's newcomers."""
LAYER = re.compile(r"([0-9a-f]{64})(\.zst)?")
ATTESTATION = re.compile(r"([0-9a-f]{64})\.json")
DELTA = re.compile(r"([0-9a-f]{64})/([0-9a-f]{64})\.zst(\.zst)?")
CHANGES = re.compile(r"([0-9a-f]{64})/([0-9a-f]{64})\.zlib")
"""From one blob to another; made when it is asked for."""
FOREVER = "public, max-age=31536000, immutable"
METHODS = ["GET", "HEAD"]
log = structlog.get_logger(__name__)


class Piece(FileResponse):
    """A file, or one piece of it: a box asks for one; who asks for several gets the whole (RFC 9110, 14.2)."""

    max_ranges = 1
    chunk_size = 32 << 10

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = 0

        async def counted(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(MutableHeaders(raw=message["headers"])["content-length"]) * (scope["method"] != "HEAD")
            left -= len(message.get("body", b""))
            if left > 0 and not message.get("more_body", True):
                raise OSError(f"{left} bytes are missing")
            await send(message)

        try:
            await super().__call__(scope, receive, counted)
        except OSError as error:
            # It is gone since we looked, or cannot be read: the answer has begun, and ends short.
            log.warning("file.ends", file=Path(self.path).name, error=str(error))


class Served(Protocol):
    """A folder that boxes are served from: the store, or a site's copy of some of it."""

    paths: Layout
    blobs: Blobs
    layers: Layers
    attestations: Attestations


def router(store: Served, quick: Quick | None = None) -> APIRouter:
    """The routes below /metadata, /targets, /layers, /deltas and /attestations. `quick` learns
    which metadata there are."""
    routes = APIRouter(include_in_schema=False)
    folder = store.paths.metadata

    @routes.api_route("/metadata/{name:path}", methods=METHODS)
    def metadata(name: str, request: Request) -> Response:
        matched(METADATA, name)
        try:
            with (folder / name).open("rb") as file:
                known, data = os.fstat(file.fileno()), file.read()
        except OSError as error:
            raise HTTPException(404) from error
        if quick:
            quick.learn(name, known, headers_of(data, _cache(name)))
        return small(request, data, _cache(name))

    @routes.api_route("/targets/{name:path}", methods=METHODS)
    async def target(name: str, request: Request) -> Response:
        digest = matched(TARGET, name)[1]
        return answer(request, store.blobs.path(digest))

    @routes.api_route("/layers/{name:path}", methods=METHODS)
    async def layer(name: str, request: Request) -> Response:
        found = matched(LAYER, name)
        return answer(request, store.layers.zst(found[1]) if found[2] else store.layers.path(found[1]))

    @routes.api_route("/deltas/{name:path}", methods=METHODS)
    async def delta(name: str, request: Request) -> Response:
        return await _delta(store, name, request)

    @routes.api_route("/attestations/{name:path}", methods=METHODS)
    def attestation(name: str, request: Request) -> Response:
        found = store.attestations.path(matched(ATTESTATION, name)[1])
        try:
            return small(request, found.read_bytes(), "no-cache")  # it may be signed again, by another key
        except OSError as error:
            raise HTTPException(404) from error

    return routes


async def _delta(store: Served, name: str, request: Request) -> Response:
    """Of a layer, as a file; of a small blob, made now."""
    if found := CHANGES.fullmatch(name):
        data = await run_in_threadpool(changes, store.blobs, found[1], found[2])
        if data is None:
            raise HTTPException(404)
        return Response(data, media_type="application/octet-stream", headers={"cache-control": FOREVER})
    found = matched(DELTA, name)
    path = (store.layers.twice if found[3] else store.layers.delta)(found[1], found[2])
    if request.method == "GET":
        mark(path)
    return answer(request, path)


def small(request: Request, data: bytes, cache: str) -> Response:
    """A small JSON document, known again by its digest."""
    headers = headers_of(data, cache)
    if _unchanged(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)


def headers_of(data: bytes, cache: str) -> dict[str, str]:
    return {"etag": f'"{sha256(data)[:32]}"', "cache-control": cache}


def matched(pattern: re.Pattern[str], name: str) -> re.Match[str]:
    """A name that is whole what the pattern says; 404 for any other."""
    found = pattern.fullmatch(name)
    if not found:
        raise HTTPException(404)
    return found


def _cache(name: str) -> str:
    return "no-cache" if name.endswith("timestamp.json") else FOREVER


def answer(request: Request, path: Path, kind: str = "application/octet-stream") -> Response:
    """A file that never changes under its name; 404 when it is not there."""
    try:
        known = path.stat()
    except OSError as error:
        raise HTTPException(404) from error
    headers = {"etag": f'"{path.name[:64]}-{known.st_size}"', "cache-control": FOREVER}
    if _unchanged(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Piece(path, media_type=kind, headers=headers, stat_result=known)


def _unchanged(request: Request, etag: str) -> bool:
    """RFC 9110, 13.1.2: weak comparison, a list or a star."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in tags or "*" in tags
