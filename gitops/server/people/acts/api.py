"""The acts for programs: POST with a token and a JSON body; the same rules, the same line in the audit log.

In: `Authorization: Bearer`, `{"reason": "..."}`; `seen`, `wave`, `box` and `role` where the act has them. Out:
`{"done": "box-hold", "new": true, ...}`; 409 where it is not so any more. Rules: a session's cookie does not count
here, for a page elsewhere could send it along.
"""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from gitops.errors import TowerosError
from gitops.model import Json
from gitops.server.body import bounded
from gitops.server.people.acts.doing import Doer, by, refusals
from gitops.server.people.acts.kinds import ACTS, Words
from gitops.server.people.acts.pages import PATHS as FORMS
from gitops.server.people.acts.pages import status_of
from gitops.server.people.guard import forms
from gitops.server.people.guard.known import known, person

PATHS = {meant: f"/api/v1{path}" for meant, path in FORMS.items()}
BODY = {"reason": {"type": "string", "maxLength": 500}, "seen": {"type": "string"}, "wave": {"type": "string"},
        "box": {"type": "string"}, "role": {"type": "string"}}  # fmt: skip
DESCRIBED = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "properties": BODY, "required": ["reason"]}}},
    }
}
PROGRAMS = "programs act by a token: toweros tokens add NAME --role operator"
In = TypeVar("In", bound=BaseModel)
Text = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]


class ActIn(BaseModel):
    """What an act says: members that nobody knows are mistakes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    reason: Text
    seen: Text | None = None
    wave: Text = ""
    box: Text = ""
    role: Text = ""


def router(doer: Doer) -> APIRouter:
    """POST of each of `PATHS`."""
    routes = APIRouter(dependencies=[Depends(known)])

    def do(request: Request, of: str, act: str, name: str, said: Words) -> Json:
        doer.may(request, of, name)
        try:
            new = doer.do(of, act, name, said, by(request))
        except TowerosError as error:
            why = "; ".join(filter(None, (error.message, error.hint)))
            raise HTTPException(status_of(error), why) from error
        return {"done": f"{of}-{act}", "new": new, "subject": name or said.wave or of, "reason": said.reason}

    def add(of: str, act: str) -> None:
        async def sent(request: Request, name: str = "") -> Response:
            with refusals(request, of, act, name):
                if person(request).how != "token":
                    raise HTTPException(403, PROGRAMS)
                said = parsed(
                    ActIn, request.headers.get("content-type", ""), await bounded(request, "body", forms.MOST)
                )
                done = await run_in_threadpool(do, request, of, act, name, Words(**said.model_dump()))
            return JSONResponse(done)

        routes.add_api_route(
            PATHS[of, act], sent, methods=["POST"], response_model=Json, name=f"{of}-{act}", openapi_extra=DESCRIBED
        )

    for of, act in ACTS:
        add(of, act)
    return routes


def parsed(model: type[In], kind: str, data: bytes) -> In:
    """What a body says. Raises HTTPException: 415, 400."""
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "an act is application/json")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(each)[:50] for each in first["loc"])
        raise HTTPException(400, f'{where or "the body"}: {first["msg"]}; it is {{"reason": "..."}}') from error
