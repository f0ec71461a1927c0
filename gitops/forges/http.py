"""A REST API over `requests`, for a polite and suspicious client.

In: a base URL and a way to get the token. Out: parsed JSON. Rules:

- Conditional: an answer with an ETag is cached, and asked for with If-None-Match; a 304 costs no quota.
- Waits: after a rate limit (429, or 403 with nothing remaining, or Retry-After) nothing is sent until it is over; after
  a 5xx, a time-out or a refused token nothing is sent for a while that doubles.
- Bounded: seconds and bytes of an answer, pages of a list, answers that are cached.
- The token goes to the API's own origin only: no redirect is followed, no link leads elsewhere. It is read anew for
  each call, and is in no message.

    api = Api("https://api.github.com", token)
    api.pages("/repos/o/r/pulls", {"state": "open"})
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from gitops import __version__
from gitops.errors import ForgeError
from gitops.model import Json
from gitops.web.ask import Session

CONNECT, READ, TOTAL = 5.0, 15.0, 30.0
"""Seconds: until a connection stands; without a byte; for a whole answer."""
MAX_BYTES = 8 << 20
"""Bytes of one answer."""
MAX_PAGES = 20
KEPT = 200
"""Answers that are kept for conditional requests."""
FIRST_PAUSE, MAX_PAUSE = 30.0, 900.0
"""Seconds between attempts while the forge is away."""
MAX_WAIT = 3600.0
"""Seconds: longer than any rate limit that a forge states."""
LATER = "it is tried again; deployments go on"
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The parsed body, its ETag, and where the next page is."""

    value: Any
    etag: str = ""
    next: str = ""


class Api:
    """One API, one token. `clock` gives Unix seconds."""

    def __init__(
        self,
        base: str,
        token: Callable[[], str],
        headers: Headers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base, self._token, self._clock = base.rstrip("/"), token, clock
        self._session = Session()
        self._session.trust_env = False  # no .netrc: the token is the only thing that is ever sent
        self._session.headers.update({"User-Agent": f"toweros/{__version__}", **(headers or {})})
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._quiet_until, self._pause = 0.0, FIRST_PAUSE

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return self._get(self._url(path, query)).value

    def pages(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[Json]:
        """The items of a list, page after page."""
        url = self._url(path, query)
        for _ in range(MAX_PAGES):
            answer = self._get(url)
            if not isinstance(answer.value, list):
                raise ForgeError(f"{path}: a list was expected", hint=LATER)
            yield from (item for item in answer.value if isinstance(item, dict))
            if not answer.next:
                return
            url = answer.next
            if _origin(url) != _origin(self._base):
                raise ForgeError(f"{path}: the next page is on another server", hint="check `forge_url`")

    def send(self, method: str, path: str, body: Json) -> Any:
        """POST, PATCH or PUT."""
        return self._ask(method, self._url(path), body).value

    def _url(self, path: str, query: Mapping[str, str] | None = None) -> str:
        prepared = requests.Request("GET", self._base + path, params=dict(query or {})).prepare()
        return str(prepared.url)

    def _get(self, url: str) -> Answer:
        answer = self._ask("GET", url)
        if answer.etag:
            self._kept[url] = answer
            self._kept.move_to_end(url)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return answer

    def _ask(self, method: str, url: str, body: Json | None = None) -> Answer:
        left = self._quiet_until - self._clock()
        if left > 0:
            raise ForgeError(f"the forge is left alone for another {left:.0f} s", hint=LATER, wait=left)
        cached = self._kept.get(url) if method == "GET" else None
        token = self._token()
        headers = {"Authorization": f"Bearer {token}"} | ({"If-None-Match": cached.etag} if cached else {})
        what = f"{method} {urlsplit(url).path}"
        try:
            with self._session.request(
                method, url, json=body, headers=headers, timeout=(CONNECT, READ), allow_redirects=False, stream=True
            ) as response:
                return self._judge(what, response, cached, token)
        except (requests.RequestException, HTTPError, ValueError) as error:  # ValueError: a Location that is none
            kind = type(error).__name__
            raise self._away(f"{what}: {kind}") from None

    def _judge(self, what: str, response: requests.Response, cached: Answer | None, token: str) -> Answer:
        code, headers = response.status_code, response.headers
        if code == 304 and cached:
            self._pause = FIRST_PAUSE
            return cached
        data = _read(response)
        value = self._parse(what, response, data)
        if 200 <= code < 300:
            self._pause = FIRST_PAUSE
            return Answer(value, headers.get("ETag", ""), response.links.get("next", {}).get("url", ""))
        words = str(value.get("message", ""))[:200] if isinstance(value, dict) else ""
        words = " ".join(words.replace(token, "***").split()) if token else words
        raise self._refused(what, code, headers, words)

    def _parse(self, what: str, response: requests.Response, data: bytes) -> Any:
        if not data:
            return None
        try:
            response._content = data
            return response.json()
        except ValueError:
            if response.ok:
                raise self._away(f"{what}: the answer is not JSON") from None
            return None

    def _refused(self, what: str, code: int, headers: Headers, words: str) -> ForgeError:
        message = f"{what}: {code}{': ' if words else ''}{words}"
        if code == 429 or (code == 403 and ("Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0")):
            return self._limited(what, headers)
        if code == 401:
            return self._away(
                message, "the token is refused: has it expired, or been revoked? Put a new one in its file"
            )
        if code >= 500 or code == 408:
            return self._away(message)
        return ForgeError(message, hint="does the token have the rights that docs/review.md names?")

    def _limited(self, what: str, headers: Headers) -> ForgeError:
        """A rate limit says itself when it is over."""
        after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
        wait = float(after) if after.isdigit() else float(reset) - self._clock() if reset.isdigit() else FIRST_PAUSE
        wait = min(max(wait, 1.0), MAX_WAIT)
        self._quiet_until = self._clock() + wait
        return ForgeError(f"{what}: the forge's rate limit is used up for {wait:.0f} s", hint=LATER, wait=wait)

    def _away(self, message: str, hint: str = LATER) -> ForgeError:
        wait, self._pause = self._pause, min(self._pause * 2, MAX_PAUSE)
        self._quiet_until = self._clock() + wait
        return ForgeError(message, hint=hint, wait=wait)


def _read(response: requests.Response) -> bytes:
    """The body, within bounds of bytes and seconds.

    Raises:
        requests.RequestException: it takes too long, or is too large.
    """
    deadline, data = time.monotonic() + TOTAL, bytearray()
    for chunk in response.iter_content(1 << 16):
        data += chunk
        if len(data) > MAX_BYTES:
            raise requests.exceptions.ContentDecodingError("too large")
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout("too slow")
    return bytes(data)


def _origin(url: str) -> tuple[str, str]:
    """Empty: it is none, wherever it came from."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc
