"""A form for each act, on a page of its own, and what it does: it works without scripts.

In: GET, how it is and what would be done; POST, the form. Out: a page; after an act 303 to where it shows. Rules: a
reason is needed; what nothing takes back needs a tick; the form brings back what somebody saw (`seen`), and where that
is not so any more nothing is done and the page says how it is; the same words twice are one act, so that a double click
and the way back harm nobody.

    app.include_router(router(doer, rendered))
"""

from typing import NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from gitops.errors import StoreError, TowerosError
from gitops.server.people.acts.doing import Doer, by, refusals
from gitops.server.people.acts.kinds import ACTS, DONE, Kind, Words, commit
from gitops.server.people.guard import forms
from gitops.server.people.guard.known import known, person, viewer
from gitops.server.people.rendered import Rendered
from gitops.workflows.acting.acting import LONGEST, StaleError

PLACES = {"box": "/boxes/{name}", "newcomer": "/newcomers/{name}"}
PATHS = {(of, act): f"{PLACES.get(of, f'/{of}')}/{act}" for of, act in ACTS}
NOT_SURE = "tick the box: nothing takes this back"
NOBODY = "nobody acts without a login: toweros people add NAME --role operator"


class Meant(NamedTuple):
    """Which act, and on what (`name`: a box; empty: what concerns no box)."""

    of: str
    act: str
    name: str

    @property
    def kind(self) -> Kind:
        return ACTS[self.of, self.act]

    @property
    def back(self) -> str:
        """The page that it belongs to."""
        return f"/boxes/{self.name}" if self.of == "box" else "/"


class Forms:
    """Of one server."""

    def __init__(self, doer: Doer, rendered: Rendered) -> None:
        self._doer, self._rendered = doer, rendered

    def ask(self, request: Request, meant: Meant) -> Response:
        """The form; or, with `done`, what was done."""
        self._doer.may(request, meant.of, meant.name)
        wave, done = (request.query_params.get(name, "")[:200] for name in ("wave", "done"))
        return self._page(request, meant, Words(wave=wave), done=DONE.get(done, ""))

    def do(self, request: Request, meant: Meant, fields: dict[str, str]) -> Response:
        """What the form asks for."""
        self._doer.may(request, meant.of, meant.name)
        said = _said(fields)
        if meant.kind.sure and fields.get("sure") != "yes":
            return self._page(request, meant, said, 400, why=NOT_SURE)
        try:
            new = self._doer.do(meant.of, meant.act, meant.name, said, by(request))
        except TowerosError as error:
            why = "; ".join(filter(None, (error.message, _hint(error))))
            return self._page(request, meant, said, status_of(error), why=why)
        place = meant.back if meant.of == "box" else request.url.path
        return RedirectResponse(f"{place}?done={f'{meant.of}-{meant.act}' if new else 'already'}", 303)

    def _page(self, request: Request, meant: Meant, said: Words, status: int = 200, **words: str) -> Response:
        seen, kind, who = self._doer.seen(*meant), meant.kind, viewer(request)
        file, lines, beside = commit(kind, meant.name, who.person.name or "WHO", said, seen)
        values = {
            "kind": kind, "title": kind.title.format(subject=meant.name), "seen": seen, "reason": said.reason,
            "sure": kind.sure.format(words=seen.words, subject=meant.name), "path": request.url.path,
            "file": file, "lines": lines, "beside": beside,
            "adopts": meant.act == "adopt", "box": said.box, "role": said.role or seen.role,
            "back": meant.back, "longest": LONGEST, "wave": said.wave, "who": who, "why": "", "done": "",
        }  # fmt: skip
        return HTMLResponse(self._rendered.page("act.html", **values | words), status, self._rendered.headers)


def router(doer: Doer, rendered: Rendered) -> APIRouter:
    """GET and POST of each of `PATHS`."""
    routes, shown = APIRouter(dependencies=[Depends(known)], include_in_schema=False), Forms(doer, rendered)

    def add(of: str, act: str) -> None:
        async def asked(request: Request, name: str = "") -> Response:
            return await run_in_threadpool(shown.ask, request, Meant(of, act, name))

        async def sent(request: Request, name: str = "") -> Response:
            with refusals(request, of, act, name):
                if not person(request).name:
                    raise HTTPException(403, NOBODY)
                return await run_in_threadpool(shown.do, request, Meant(of, act, name), await forms.form(request))

        routes.add_api_route(PATHS[of, act], asked, methods=["GET"])
        routes.add_api_route(PATHS[of, act], sent, methods=["POST"])

    for of, act in ACTS:
        add(of, act)
    return routes


def status_of(error: TowerosError) -> int:
    """409: it is not so any more; 503: it could not be written down; 400: it cannot be done."""
    return 409 if isinstance(error, StaleError) else 503 if isinstance(error, StoreError) else 400


def _said(fields: dict[str, str]) -> Words:
    """A wave's field brings what it is to run beside its name."""
    wave, _, content = fields.get("wave", "")[:300].rpartition(" ")
    box, role = (fields.get(name, "").strip()[:100] for name in ("box", "role"))
    return Words(fields.get("reason", ""), content if wave else fields.get("seen", ""), wave, box, role)


def _hint(error: TowerosError) -> str:
    """Not of options: here is no command line."""
    return "" if "--why" in error.hint else error.hint
