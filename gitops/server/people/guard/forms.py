"""What a form of ours sent: no other page's, and no more than fits.

In: a POST request. Out: its fields. Rules: the body is `application/x-www-form-urlencoded` and within bounds; where the
browser says which page sent it (`Origin`, else `Sec-Fetch-Site`), that is one of this host; it brings back the token of
its own session, `token(request)`, which whoever does not have the cookie cannot know. No field comes twice.

    {{ parts.csrf(who) }}                       {# in the form #}
    fields = await form(request)                # 403, 400, 413, 415 otherwise
    fields["reason"]
"""

import hmac
from hashlib import sha256
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from gitops.server.body import bounded
from gitops.server.people.guard import cookies

FIELD = "csrf"
MOST, FIELDS = 64 << 10, 50
"""Bytes of a form, and fields."""
KIND = "application/x-www-form-urlencoded"


def token(request: Request, of: str = cookies.SESSION) -> str:
    """What each form of this session sends along; empty: there is none. `of`: the name of another cookie."""
    key = cookies.get(request, of)
    return token_of(key) if key else ""


def token_of(cookie: str) -> str:
    """It tells nothing of the cookie."""
    return hmac.new(cookie.encode(), b"toweros form", sha256).hexdigest()


async def form(request: Request, of: str = cookies.SESSION) -> dict[str, str]:
    """The fields of a form of ours, without the token.

    Raises:
        HTTPException: 403 it is not this session's; 400, 413, 415: it is no form.
    """
    fields = parsed(request.headers.get("content-type", ""), await bounded(request, "form", MOST))
    said, known = fields.pop(FIELD, ""), token(request, of)
    if not known or not hmac.compare_digest(said.encode(), known.encode()) or not own(request):
        raise HTTPException(403, "this form is not of this session: open its page again, and send it from there")
    return fields


def own(request: Request) -> bool:
    """Whether the browser says that a page of this host sent it, or says nothing at all."""
    origins = request.headers.getlist("origin")
    if origins:
        return len(origins) == 1 and _host(origins[0]) == request.headers.get("host", "") != ""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # an address that begins as IPv6 and is none
        return ""


def parsed(kind: str, data: bytes) -> dict[str, str]:
    """Raises HTTPException: 415, 400."""
    if kind.partition(";")[0].strip().lower() != KIND:
        raise HTTPException(415, f"a form is {KIND}")
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, f"this is no form of at most {FIELDS} fields in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise HTTPException(400, "a field comes twice")
    return fields
