"""GET /login/oidc and /login/oidc/back: to the provider, and back with a code.

In: a browser. Out: a session, or a page that says what is wrong. Rules: what belongs to one login (state, nonce, the
proof of PKCE) is made of a secret in a cookie of this browser, and of nothing that comes back; the cookie is used once;
a provider that hangs holds `PLACES` threads for seconds, and neither pages, nor boxes, nor local accounts.
"""

import hmac
import secrets
from collections.abc import Callable
from urllib.parse import quote, unquote

import anyio
from anyio import to_thread
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from gitops.server.people.guard import acts, cookies, known
from gitops.server.people.guard.login import MANY, Pages
from gitops.server.people.guard.oidc.claims import OidcError, of
from gitops.server.people.guard.oidc.provider import Provider, word
from gitops.server.people.guard.way import way

Work = Callable[[Request], Response]
PLACES, WAITING = 4, 32
LASTS = 600
"""Seconds that somebody may take at the provider."""
CODE = 2000
BEGUN = "this login did not begin in this browser, or took too long: log in again"
BACK = "/login/oidc/back"


class Going:
    """There and back, by one provider. `link`: how people reach us."""

    def __init__(self, pages: Pages, provider: Provider, link: str) -> None:
        self._pages, self._provider, self._back = pages, provider, link.rstrip("/") + BACK
        self._places = anyio.CapacityLimiter(PLACES)

    async def there(self, request: Request) -> Response:
        """GET /login/oidc."""
        return await self._apart(request, self._there)

    async def back(self, request: Request) -> Response:
        """GET /login/oidc/back."""
        response = await self._apart(request, self._here)
        cookies.drop(request, response, cookies.ISSUER)
        return response

    async def _apart(self, request: Request, work: Work) -> Response:
        if not known.private(request):  # whoever is on the way would read the session's cookie
            raise HTTPException(403, known.PLAIN)
        if self._places.statistics().tasks_waiting >= WAITING:
            return await to_thread.run_sync(self._pages.page, request, 503, MANY)
        return await to_thread.run_sync(self._tried, request, work, limiter=self._places)

    def _tried(self, request: Request, work: Work) -> Response:
        try:
            return work(request)
        except OidcError as error:
            acts.tell(request, "login", outcome=f"refused: {error.message}")
            why = ". ".join(filter(None, (error.message, error.hint)))
            return self._pages.page(request, 403, f"{why[:1].upper()}{why[1:]}.")

    def _there(self, request: Request) -> Response:
        secret, to = secrets.token_urlsafe(32), way(request.query_params.get("next", "/"))
        response = RedirectResponse(self._provider.way(secret, self._back), 303)
        cookies.put(request, response, cookies.ISSUER, f"{secret}.{quote(to, safe='')}", LASTS)
        return response

    def _here(self, request: Request) -> Response:
        secret, _, to = cookies.get(request, cookies.ISSUER).partition(".")
        said, state = request.query_params, request.query_params.get("state", "")
        if not secret or not hmac.compare_digest(state.encode(errors="replace"), word(secret, "state").encode()):
            raise OidcError(BEGUN)
        issuer = said.get("iss")  # RFC 9207
        if issuer != self._provider.oidc.issuer and (issuer is not None or self._names_itself()):
            raise OidcError("this answer is another provider's: log in again")
        if "code" not in said or len(said["code"]) > CODE:
            raise OidcError(f"the provider lets nobody in: {said.get('error', 'no code')[:60]!r}")
        person = of(self._provider.oidc, self._provider.claims(said["code"], secret, self._back))
        return self._pages.desk.enter(request, person, unquote(to))

    def _names_itself(self) -> bool:
        return self._provider.said().get("authorization_response_iss_parameter_supported") is True


def router(going: Going) -> APIRouter:
    """The routes of `Going`."""
    routes = APIRouter(include_in_schema=False)
    routes.get("/login/oidc")(going.there)
    routes.get(BACK)(going.back)
    return routes
