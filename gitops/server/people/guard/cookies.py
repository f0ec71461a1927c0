"""What a browser keeps for us: names and flags.

In: a request. Out: what it brings of ours; headers of an answer. Rules: over TLS (ours, or that of a proxy which is
believed) a name begins with `__Host-`, so that no other host and no page without TLS can have set it; never readable by
scripts; sent along by a link from elsewhere (Lax), never by a form from elsewhere; it ends with the browser at the
latest, or after `age` seconds. Over plain HTTP there is a name of its own, and only on loopback (known.py).
"""

from starlette.requests import Request
from starlette.responses import Response

SESSION, LOGIN, ISSUER = "toweros", "toweros-login", "toweros-oidc"
"""Of who is logged in; of a login form; of who is at the provider meanwhile."""
LONGEST = 2000


def secure(request: Request) -> bool:
    """Whether it came by TLS, as far as we know."""
    return bool(request.scope.get("scheme") == "https")


def get(request: Request, name: str) -> str:
    """Empty: there is none, or it is none of ours."""
    found = request.cookies.get(_named(request, name), "")
    return found if len(found) <= LONGEST else ""


def put(request: Request, response: Response, name: str, value: str, age: int | None = None) -> None:
    response.set_cookie(
        _named(request, name), value, max_age=age, path="/", secure=secure(request), httponly=True, samesite="lax"
    )


def drop(request: Request, response: Response, name: str) -> None:
    put(request, response, name, "", 0)


def _named(request: Request, name: str) -> str:
    return f"__Host-{name}" if secure(request) else name
