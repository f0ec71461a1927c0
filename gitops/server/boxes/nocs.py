"""POST /api/v1/nocs/NAME/contact: a site's own server says that it lives; GET /api/v1/nocs: when each last did;
POST /api/v1/nocs/NAME/starts: what it handed out to machines that the network starts.

Rules: only those that the settings name are heard (`nocs`), each by its own key; nothing that was said is heard twice;
what a NOC says of itself is shown, and decides nothing. The starts that it handed out count as those of any stranger
in its network would (ADR 85): saying them twice changes nothing, so they need no time of their own.
"""

import json
import time
from collections.abc import Mapping
from typing import Annotated, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Request, Response
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.model.machines.netboot import HandedOut
from gitops.server.body import bounded
from gitops.server.boxes.reports import MAX_BODY, kept
from gitops.server.boxes.wire import TEXT, Number, Wire
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import as_json
from gitops.store.notes.netboot import Starts
from gitops.store.notes.nocs import NocContact
from gitops.workflows.media.handing import take_over
from gitops.workflows.media.starts import OfStore

MOST, BOXES = 16 << 10, 100
"""Bytes of a signed document, boxes in one."""
SIGNATURE = r"^[0-9a-f]{128}$"


class Signed(Wire):
    """The request's body."""

    text: Annotated[str, Field(max_length=MOST, alias="contact")]
    signature: Annotated[str, Field(pattern=SIGNATURE)]


class SignedStarts(Wire):
    """That of starts."""

    text: Annotated[str, Field(max_length=MOST, alias="starts")]
    signature: Annotated[str, Field(pattern=SIGNATURE)]


class Said(Wire):
    """A signed document."""

    format: Annotated[int, Field(ge=0, le=1)]
    noc: Annotated[str, Field(max_length=100)]


class Contact(Said):
    """How a NOC is."""

    time: Number
    boxes: Number = 0
    lacking: Number = 0
    waiting: Number = 0
    says: Annotated[str, Field(max_length=4000, pattern=TEXT)] = ""


class Row(Wire):
    """Of one box: what it was handed, when (Unix seconds), and the boot of which it had spoken last by then."""

    release: Annotated[str, Field(max_length=100, pattern=TEXT)]
    starts: Annotated[list[tuple[Number, Annotated[str, Field(max_length=100, pattern=TEXT)]]], Field(max_length=9)]


class Handed(Said):
    """Starts that came to nothing yet, by the box."""

    starts: Annotated[dict[str, Row], Field(max_length=BOXES)]


T = TypeVar("T", Contact, Handed)


def keys(settings: Settings) -> dict[str, str]:
    """The NOCs of the settings: name -> public key (hex)."""
    return dict(row.split("=", 1) for row in settings.nocs)


def contacts(store: Store, settings: Settings) -> Mapping[str, NocContact | None]:
    """Every NOC of the settings, and what it last said; None: nothing yet."""
    return {name: kept(store, NocContact, name) for name in keys(settings)}


def router(store: Store, settings: Settings) -> APIRouter:
    """What NOCs say."""
    routes = APIRouter()

    @routes.post("/api/v1/nocs/{name}/contact", status_code=204)
    async def contact(name: str, request: Request) -> Response:
        body = await bounded(request, "report", MAX_BODY)
        address = request.client.host if request.client else ""
        await run_in_threadpool(take, store, keys(settings).get(name, ""), name, body, address)
        return Response(status_code=204)

    @routes.post("/api/v1/nocs/{name}/starts", status_code=204)
    async def starts(name: str, request: Request) -> Response:
        body = await bounded(request, "report", MAX_BODY)
        await run_in_threadpool(count, store, keys(settings).get(name, ""), name, body)
        return Response(status_code=204)

    return routes


def shown(store: Store, settings: Settings) -> APIRouter:
    """What people read of them."""
    routes = APIRouter()

    @routes.get("/api/v1/nocs", response_model=Json)
    def nocs() -> Response:
        rows = {name: as_json(each) if each else None for name, each in contacts(store, settings).items()}
        return Response(json.dumps({"nocs": rows}, ensure_ascii=False), media_type="application/json")

    return routes


def take(store: Store, key: str, name: str, body: bytes, address: str) -> None:
    """Raises HTTPException: 403 nobody of the settings, or not its key; 400 not understood; 409 said already."""
    said = _signed(Signed, Contact, key, name, body)
    last = kept(store, NocContact, name)
    if last and said.time <= last.time:
        raise HTTPException(409, "this was said already, or the clock of the NOC went back")
    values = said.model_dump(exclude={"format", "noc"})
    store.notes.put(NocContact(**values, seen=int(time.time()), address=address), name)


def count(store: Store, key: str, name: str, body: bytes) -> None:
    """Raises HTTPException as `take`."""
    said, now = _signed(SignedStarts, Handed, key, name, body), int(time.time())
    for box, row in said.starts.items():
        told = Starts(row.release, tuple(HandedOut(*each) for each in row.starts))
        take_over(OfStore(store), box, told, now)


def _signed(outer: type[Signed] | type[SignedStarts], inner: type[T], key: str, name: str, body: bytes) -> T:
    """What the NOC of this name and key signed."""
    try:
        signed = outer.model_validate_json(body)
        if not key:
            raise HTTPException(403, "no NOC of this name is in the settings (`nocs`)")
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signed.signature), signed.text.encode())
        said = inner.model_validate_json(signed.text)
    except InvalidSignature as error:
        raise HTTPException(403, "it is not signed by the key of this NOC") from error
    except ValidationError as error:
        raise HTTPException(400, "the body is no signed document of a NOC") from error
    if said.noc != name:
        raise HTTPException(403, "it is another NOC's")
    return said
