"""The pages: HTML that works without scripts; everything that others said is escaped by jinja2's autoescape.

Rules: parameters are read before anything is made: what they cannot be is a page that says so (400), and costs nothing
more. `refresh=30` lets a browser without scripts load a page again; with scripts, /live says when that is worth it.
"""

import contextlib
import hashlib
from collections.abc import Callable
from importlib.resources import files

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from gitops.errors import TowerosError
from gitops.model.access.person import Role
from gitops.server.people.acts.listed import AUDIT
from gitops.server.people.documents import AbsentError, Asked, Document, QueryError
from gitops.server.people.guard.known import known, needs, viewer
from gitops.server.people.pages.activity import ACTIVITY
from gitops.server.people.pages.box import BOX
from gitops.server.people.pages.commits import COMMIT, COMMITS
from gitops.server.people.pages.keys import KEYS
from gitops.server.people.pages.rows import FLEET, SITES
from gitops.server.people.pages.security import ADVISORIES
from gitops.server.people.rendered import HEADERS, Rendered
from gitops.server.people.waiting.answers import Answers

ENCODING = "content-encoding"
STATIC = {"toweros.css": "text/css", "toweros.js": "text/javascript", "icon.svg": "image/svg+xml"}
QUERIES = {
    Document.fleet: FLEET, Document.sites: SITES, Document.box: BOX, Document.commits: COMMITS,
    Document.commit: COMMIT, Document.activity: ACTIVITY, Document.advisories: ADVISORIES, Document.keys: KEYS,
    Document.audit: AUDIT,
}  # fmt: skip
PLACES = {
    Document.fleet: "/", Document.sites: "/sites", Document.commits: "/commits", Document.activity: "/activity",
    Document.advisories: "/advisories", Document.keys: "/keys", Document.audit: "/audit",
}  # fmt: skip
OF_SITES = (Document.fleet, Document.sites, Document.box, Document.activity, Document.tick)
"""What there is for whoever may look at some sites alone."""
ONE = {Document.box: "/boxes/{name}", Document.commit: "/commits/{name}"}


def router(answers: Answers, rendered: Rendered) -> APIRouter:
    """GET / and what it leads to."""
    routes = APIRouter(dependencies=[Depends(known)])

    def trouble(request: Request, status: int, error: Exception, hint: str = "") -> HTMLResponse:
        return problem(rendered, request, status, str(error), hint)

    async def shown(asked: Asked, request: Request) -> HTMLResponse:
        try:
            text = await answers.get(asking(asked, request), address(request))
        except QueryError as error:
            return trouble(request, 400, error, error.hint)
        except AbsentError as error:
            return trouble(request, 404, error)
        except HTTPException as error:
            return trouble(request, error.status_code, Exception(error.detail))
        except TowerosError as error:
            return trouble(request, 503, error, error.hint)
        return HTMLResponse(text, headers=HEADERS | packing(request))

    for document, path in PLACES.items():
        _add(routes, path, _one_of(document, shown))
    for document, path in ONE.items():
        _add(routes, path, _named(document, shown))
    return routes


def static() -> APIRouter:
    """What pages are drawn with; it says nothing of anybody."""
    routes = APIRouter()
    for name, kind in STATIC.items():
        _add(routes, f"/static/{name}", _file(name, kind))
    return routes


def problem(rendered: Rendered, request: Request, status: int, why: str, hint: str = "") -> HTMLResponse:
    """A page that says what went wrong."""
    text = rendered.page("problem.html", status=status, why=why, hint=hint, who=viewer(request))
    return HTMLResponse(text, status, HEADERS)


def canonical(document: Document, request: Request) -> str:
    """The parameters of a request, so that equal ones are equal.

    Raises:
        QueryError: they are wrong.
    """
    with contextlib.suppress(UnicodeDecodeError):
        return QUERIES[document].read(request.scope["query_string"].decode("ascii")).text
    raise QueryError("the parameters are not ASCII: write others as %XX")


def asking(asked: Asked, request: Request) -> Asked:
    """With the parameters of a request, for who asks, and packed where it takes that.

    Raises:
        QueryError: the parameters are wrong.
        HTTPException: 403: it is of the whole fleet, and who asks may look at some sites alone.
    """
    if asked.document not in OF_SITES:
        needs(request, Role.admin if asked.document is Document.audit else Role.viewer)
    who = viewer(request)
    query, packed = canonical(asked.document, request), bool(packing(request).get(ENCODING))
    return asked._replace(query=query, packed=packed, who=who if asked.html else who.nameless)


def packing(request: Request) -> dict[str, str]:
    """Headers of an answer that may be packed."""
    takes = "gzip" in request.headers.get("accept-encoding", "")
    return {"vary": "accept-encoding"} | ({ENCODING: "gzip"} if takes else {})


def address(request: Request) -> str:
    """Who asks."""
    return request.client.host if request.client else ""


def _add(routes: APIRouter, path: str, endpoint: Callable[..., object]) -> None:
    routes.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False, response_class=HTMLResponse)


def _one_of(document: Document, shown: Callable[..., object]) -> Callable[..., object]:
    async def page(request: Request) -> HTMLResponse:
        return await shown(Asked(document, html=True), request)  # type: ignore[misc, no-any-return]

    return page


def _named(document: Document, shown: Callable[..., object]) -> Callable[..., object]:
    async def page(name: str, request: Request) -> HTMLResponse:
        return await shown(Asked(document, name[:200], html=True), request)  # type: ignore[misc, no-any-return]

    return page


def _file(name: str, kind: str) -> Callable[..., object]:
    """A file of the package, read once."""
    text = (files("gitops.server.people") / "static" / name).read_bytes()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}

    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(text, media_type=kind, headers=headers)

    return file
