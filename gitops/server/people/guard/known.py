"""The person of a request: every route for people depends on `known`.

In: a request, what the store has of sessions, accounts and tokens. Out: `request.state.person`, or an answer that says
how to log in. Rules:

- `Authorization: Bearer` counts first, alone, and for nobody else than it names: a wrong one is never a visitor.
- Else the session's cookie. An account's grants are those of now, a provider's those of the login.
- Where there is neither an account nor a provider, whoever reaches the listener looks (`ANYBODY`), and does nothing.
- Passwords, cookies and tokens of people count over TLS, or from this machine; over plain HTTP from elsewhere somebody
  would have read them on the way.
- What somebody may not see is not there: 404 as for what nobody has; 403 where it is of the whole fleet.

    routes = APIRouter(dependencies=[Depends(known)])
    person(request).name; needs(request, Role.operator, site)
"""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import quote

import anyio
from anyio import to_thread
from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gitops.model.access.person import EVERYWHERE, Person, Role, may
from gitops.server.people.guard import cookies, forms
from gitops.server.people.guard.viewer import ANYBODY, Viewer
from gitops.settings import Settings
from gitops.settings.values import is_loopback
from gitops.store import Store
from gitops.workflows.access.accounts import Accounts
from gitops.workflows.access.sessions import Sessions
from gitops.workflows.access.tokens import Tokens

PLACES = 2
"""Requests of which we look at a time who sent them."""
BEARER = "bearer"
PROGRAMS = ("/api/", "/metrics", "/live", "/sbom/", "/openapi.json")
"""Where no page is expected that one logs in by."""
OPEN = "Nobody has to log in: whoever reaches this address sees all of this (toweros people add NAME)."


class Gate:
    """Of one server: looks up who asks."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._accounts, self._sessions, self._tokens = Accounts(store), Sessions(store), Tokens(store)
        self._provider = settings.oidc is not None
        self._far = not is_loopback(settings.people_listen)
        self.places = anyio.CapacityLimiter(PLACES)

    @property
    def warning(self) -> str:
        """What pages say that everybody sees who reaches them."""
        return OPEN if self._far else ""

    def of(self, bearer: str | None, cookie: str) -> Person | None:
        """None: nobody that we know."""
        if bearer is not None:
            return self._tokens.person(bearer)
        if self.open():
            return ANYBODY
        session = self._sessions.get(cookie) if cookie else None
        if session is None:
            return None
        if session.how == "account":
            return self._accounts.person(session.who)
        return Person(session.who, session.grants, session.how) if self._provider else None

    def open(self) -> bool:
        """Whether nobody can log in."""
        return not self._provider and self._accounts.none()


async def known(request: Request) -> Person:
    """A dependency: who asks.

    Raises:
        HTTPException: 401, or 303 to the login; 403 over plain HTTP.
    """
    gate: Gate = request.app.state.gate
    bearer, cookie = _bearer(request), cookies.get(request, cookies.SESSION)
    if (bearer is not None or cookie) and not private(request):
        raise HTTPException(403, PLAIN)
    found = await to_thread.run_sync(gate.of, bearer, cookie, limiter=gate.places)
    if found is None:
        raise _nobody(request, bearer is not None)
    if not found.grants:
        raise HTTPException(403, f"{found.name} may nothing here: ask whoever runs the fleet")
    request.state.person = found
    request.state.viewer = Viewer(found, forms.token(request), gate.warning if found == ANYBODY else "")
    return found


PLAIN = (
    "this connection is not encrypted, so neither passwords nor tokens count: use https:// (people_tls_cert, or a "
    "proxy that says X-Forwarded-Proto), or come from this machine (ssh -L); docs/people.md"
)


async def of_fleet(request: Request, found: Annotated[Person, Depends(known)]) -> Person:
    """A dependency: who may look at the whole fleet.

    Raises:
        HTTPException: as `known`; 403: somebody who may look at some sites alone.
    """
    needs(request, Role.viewer)
    return found


def person(request: Request) -> Person:
    """Who asks, where `known` has been."""
    found: Person = request.state.person
    return found


def viewer(request: Request) -> Viewer:
    """Who looks, where `known` has been; whoever it is otherwise."""
    found: Viewer = getattr(request.state, "viewer", Viewer(Person("", ())))
    return found


def needs(request: Request, role: Role, site: str = EVERYWHERE) -> Person:
    """Who asks.

    Raises:
        HTTPException: 403: that person may not.
    """
    asks = person(request)
    if not may(asks, role, site):
        where = "the whole fleet" if site == EVERYWHERE else f"the site {site}"
        who = asks.name or "who does not log in"
        raise HTTPException(403, f"this needs the role {role} for {where}, which {who} does not have")
    return asks


def private(request: Request) -> bool:
    """Whether nobody reads along: TLS, or a client on this machine."""
    try:
        near = ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        near = False
    return cookies.secure(request) or near


def _bearer(request: Request) -> str | None:
    """None: it brings none. What is not Bearer is between the browser and a proxy before us; two are a wrong one."""
    found = [each.strip() for each in request.headers.getlist("authorization")]
    said = [each[len(BEARER) :].strip() for each in found if each.partition(" ")[0].lower() == BEARER]
    return None if not said else said[0] if len(found) == 1 else ""


def _nobody(request: Request, wrong: bool) -> HTTPException:
    path = request.url.path
    if wrong or request.method not in ("GET", "HEAD") or path.startswith(PROGRAMS):
        why = "this token is none, or has ended" if wrong else "log in, or send a token (docs/people.md)"
        return HTTPException(401, why, {"www-authenticate": 'Bearer realm="toweros"'})
    query = f"?{request.url.query}" if request.url.query else ""
    return HTTPException(303, "log in", {"location": f"/login?next={quote(path + query, safe='')}"})
