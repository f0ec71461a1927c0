"""Acts on several boxes, for programs: POST with a token; the same function as the command line's --role, --site.

In: `{"reason": "...", "sites": ["depot"], "boxes": 12}`. Out: `{"done": "boxes-hold", "boxes": 12, "new": 12, ...}`.
Rules: how many boxes are meant is said before anything is done: without `boxes`, or with another number, the answer is
409 and has the number; boxes that somebody may not see are not among them; who may not act at one of their sites acts
at none.

    app.include_router(router(store, log))
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gitops.errors import TowerosError
from gitops.model import Json
from gitops.model.access.person import Role
from gitops.rollout.choosing.several import Several
from gitops.rollout.places import places
from gitops.server.body import bounded
from gitops.server.people.acts.api import PROGRAMS, Text, parsed
from gitops.server.people.acts.doing import by, refusals
from gitops.server.people.acts.pages import status_of
from gitops.server.people.guard import forms
from gitops.server.people.guard.known import known, needs, person
from gitops.server.people.guard.viewer import Viewer
from gitops.store import Store
from gitops.store.audit.log import AuditLog
from gitops.workflows.acting import several
from gitops.workflows.acting.acting import Acting
from gitops.workflows.acting.several import Done

DOES: Mapping[str, Callable[[Acting, Sequence[str], str, str], Done]] = {
    "hold": several.hold, "release": several.release, "retry": several.retry,
}  # fmt: skip
PATHS = {act: f"/api/v1/boxes/{act}" for act in DOES}
MOST, SHOWN = 100, 20
"""Words of a kind that are asked for, and refusals that are told."""
Words = Annotated[list[Annotated[Text, Field(max_length=200)]], Field(max_length=MOST)]
LIST = {"type": "array", "maxItems": MOST, "items": {"type": "string", "maxLength": 200}}
BODY = {"reason": {"type": "string", "maxLength": 500}, "roles": LIST, "sites": LIST,
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "boxes": {"type": "integer", "minimum": 0}}  # fmt: skip
DESCRIBED = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "properties": BODY, "required": ["reason"]}}},
    }
}


class SeveralIn(BaseModel):
    """What an act on several says: members that nobody knows are mistakes. `boxes`: how many are meant."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    reason: Text
    roles: Words = []
    sites: Words = []
    labels: Annotated[dict[str, Text], Field(max_length=MOST)] = {}
    boxes: Annotated[int, Field(ge=0)] | None = None

    @property
    def meant(self) -> Several:
        return Several(tuple(self.roles), tuple(self.sites), tuple(self.labels.items()))


def router(store: Store, log: AuditLog) -> APIRouter:
    """POST of each of `PATHS`."""
    routes = APIRouter(dependencies=[Depends(known)])

    def add(act: str) -> None:
        async def sent(request: Request) -> Response:
            with refusals(request, "boxes", act, ""):
                if person(request).how != "token":
                    raise HTTPException(403, PROGRAMS)
                data = await bounded(request, "body", forms.MOST)
                said = parsed(SeveralIn, request.headers.get("content-type", ""), data)
                return JSONResponse(await run_in_threadpool(_do, store, log, request, act, said))

        routes.add_api_route(
            PATHS[act], sent, methods=["POST"], response_model=Json, name=f"boxes-{act}", openapi_extra=DESCRIBED
        )

    for act in DOES:
        add(act)
    return routes


def _do(store: Store, log: AuditLog, request: Request, act: str, said: SeveralIn) -> Json:
    meant, all_places, viewer = said.meant, places(store), Viewer(person(request))
    try:
        names = meant.of({name: place for name, place in all_places.items() if viewer.sees(place.site)})
        for site in sorted({all_places[name].site for name in names}):
            needs(request, Role.operator, site)
        if said.boxes != len(names):
            why = f'{len(names)} boxes are meant by {meant.words[:200]}; if it shall be: "boxes": {len(names)}'
            raise HTTPException(409, why)
        done = DOES[act](Acting(store, log, by(request), int(time.time())), names, meant.words, said.reason)
    except TowerosError as error:
        raise HTTPException(status_of(error), "; ".join(filter(None, (error.message, error.hint)))) from error
    refused = {box: error.message for box, error in list(done.refused.items())[:SHOWN]}
    return {
        "done": f"boxes-{act}", "boxes": len(names), "new": len(done.new), "before": len(done.before),
        "refused": len(done.refused), "why": refused, "reason": said.reason,
    }  # fmt: skip
