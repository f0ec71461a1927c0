"""POST /api/v1/nocs/NAME/contact: a site's own server says that it lives; GET /api/v1/nocs: when each last did.

Rules: only those that the settings name are heard (`nocs`), each by its own key; nothing that was said is heard twice;
what a NOC says is shown, and decides nothing.
"""

import json
import time
from collections.abc import Mapping
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Request, Response
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gitops.model import Json
from gitops.server.boxes.reports import TEXT, Number, Wire, bounded, kept
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import as_json
from gitops.store.notes.nocs import NocContact


class Signed(Wire):
    """The request's body."""

    contact: Annotated[str, Field(max_length=16 << 10)]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Contact(Wire):
    """The signed document."""

    format: Annotated[int, Field(ge=0, le=1)]
    noc: Annotated[str, Field(max_length=100)]
    time: Number
    boxes: Number = 0
    lacking: Number = 0
    waiting: Number = 0
    says: Annotated[str, Field(max_length=4000, pattern=TEXT)] = ""


def keys(settings: Settings) -> dict[str, str]:
    """The NOCs of the settings: name -> public key (hex)."""
    return dict(row.split("=", 1) for row in settings.nocs)


def contacts(store: Store, settings: Settings) -> Mapping[str, NocContact | None]:
    """Every NOC of the settings, and what it last said; None: nothing yet."""
    return {name: kept(store, NocContact, name) for name in keys(settings)}


def router(store: Store, settings: Settings) -> APIRouter:
    """The routes of NOCs."""
    routes = APIRouter()

    @routes.post("/api/v1/nocs/{name}/contact", status_code=204)
    async def contact(name: str, request: Request) -> Response:
        body = await bounded(request)
        address = request.client.host if request.client else ""
        await run_in_threadpool(take, store, keys(settings).get(name, ""), name, body, address)
        return Response(status_code=204)

    @routes.get("/api/v1/nocs", response_model=Json)
    def nocs() -> Response:
        rows = {name: as_json(each) if each else None for name, each in contacts(store, settings).items()}
        return Response(json.dumps({"nocs": rows}, ensure_ascii=False), media_type="application/json")

    return routes


def take(store: Store, key: str, name: str, body: bytes, address: str) -> None:
    """Raises HTTPException: 403 nobody of the settings, or not its key; 400 not understood; 409 said already."""
    try:
        signed = Signed.model_validate_json(body)
        if not key:
            raise HTTPException(403, "no NOC of this name is in the settings (`nocs`)")
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signed.signature), signed.contact.encode())
        said = Contact.model_validate_json(signed.contact)
    except InvalidSignature as error:
        raise HTTPException(403, "it is not signed by the key of this NOC") from error
    except ValidationError as error:
        raise HTTPException(400, "the body is no signed contact") from error
    if said.noc != name:
        raise HTTPException(403, "it is another NOC's")
    last = kept(store, NocContact, name)
    if last and said.time <= last.time:
        raise HTTPException(409, "this was said already, or the clock of the NOC went back")
    values = said.model_dump(exclude={"format", "noc"})
    store.notes.put(NocContact(**values, seen=int(time.time()), address=address), name)
