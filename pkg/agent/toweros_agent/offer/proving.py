"""Where a server hands out files to boxes of its fleet alone, this box proves that it is one.

In: an answer of 401 with a challenge (docs/formats.md). Out: the header for the next requests to that host. Rules: the
challenge has the server's time, so the clock of this box does not count; what is signed is good for fetching alone, and
only until the challenge ends; nothing is signed unasked, and no secret is sent.

    WWW-Authenticate: TowerOS-Fetch TIME.MAC
    Authorization: TowerOS-Fetch NAME TIME.MAC SIGNATURE
"""

import re
from collections.abc import Callable
from http.client import HTTPResponse
from urllib.parse import urlsplit

SCHEME = "TowerOS-Fetch"
CHALLENGE = re.compile(rf"{SCHEME} ([0-9]{{1,12}}\.[0-9a-f]{{32}})")
MOST = 64 << 10
"""Bytes of a refusal that are read, so that the connection can go on."""
MOST_HOSTS = 16


class Prover:
    """Of one boot. `name`: whose key it is; `sign`: with the box's key."""

    def __init__(self, name: Callable[[], str], sign: Callable[[bytes], bytes]) -> None:
        self._name, self._sign = name, sign
        self._headers: dict[str, dict[str, str]] = {}

    def header(self, url: str) -> dict[str, str]:
        """What goes with a request: nothing, unless that host asked."""
        return self._headers.get(urlsplit(url).netloc, {})

    def asked(self, url: str, response: HTTPResponse) -> bool:
        """Whether it is worth to ask again: the answer was a challenge, and is signed now."""
        found = CHALLENGE.fullmatch(response.headers.get("WWW-Authenticate", "")) if response.status == 401 else None
        if not found:
            return False
        response.read(MOST)
        name, host = self._name(), urlsplit(url).netloc
        signature = self._sign(f"toweros fetch 1\n{name}\n{found[1]}\n".encode())
        while len(self._headers) >= MOST_HOSTS:
            del self._headers[next(iter(self._headers))]
        self._headers[host] = {"Authorization": f"{SCHEME} {name} {found[1]} {signature.hex()}"}
        return True
