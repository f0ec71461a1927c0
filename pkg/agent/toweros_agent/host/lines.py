"""Connections that serve more than one request, within a step of the loop.

In: an address, limits. Out: answers. Rules: each request has its own limits, on a kept connection as on a new one; a
connection is kept when its answer was read to the end, for `KEPT` seconds, one for each server, and `MOST` in all;
`hang_up` ends them, as a hundred thousand boxes that wait for their next poll are to hold none. A server may close what
is kept at any time (RFC 9112, 9.3.1): what it closed by now is not used; where it closes it in the face of a question,
or says there what is no answer, that is asked once more, at once, on a new one. A report is not: it may have come, and
the next one tells the same.

    with lines.to("http://updates.example:8080/x", limits) as line:
        response = line.ask("GET", None, {})
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPResponse
from urllib.parse import quote, urlsplit

from toweros_agent.host.connections import Limits, Plain, Tls, readable
from toweros_agent.wiring.way_out import WayOut

KEPT = 4.0
"""Seconds: less than our server's own patience (uvicorn: 5), so that it seldom closes what is about to be used."""
MOST = 8
"""Servers whose connections are kept: one that sends each question on to another would have as many as it likes."""
AGAIN = ("GET", "HEAD")
CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, BadStatusLine)
"""How a kept connection ends that the server closed, or on which the rest of another answer lies: there are those who
send a body after the answer to a HEAD."""
QUOTED = "/%"
"""Addresses come quoted: what is a part of a name there stays one (a role `?` is asked for as %3F)."""
Place = tuple[type[Plain], str, int | None]


class Line:
    """One connection, for one request or two."""

    def __init__(self, url: str, connection: Plain, *, kept: bool) -> None:
        self.connection, self._kept = connection, kept
        self._response: HTTPResponse | None = None
        parts = urlsplit(url)
        whole = connection.proxy and type(connection) is Plain  # RFC 9112, 3.2.2
        self._target = f"http://{parts.netloc}" * bool(whole) + quote(parts.path or "/", safe=QUOTED)

    def ask(self, method: str, body: bytes | None, headers: Mapping[str, str]) -> HTTPResponse:
        """Raises `OSError` and `HTTPException`."""
        try:
            return self._ask(method, body, headers)
        except CLOSED:
            if not self._kept or method not in AGAIN:
                raise
        self._kept = False
        self.connection.close()  # and `request` connects again
        return self._ask(method, body, headers)

    def _ask(self, method: str, body: bytes | None, headers: Mapping[str, str]) -> HTTPResponse:
        self._response = None
        self.connection.request(method, self._target, body, dict(headers))
        self._response = self.connection.getresponse()
        return self._response

    @property
    def free(self) -> bool:
        """Whether the next answer would be that to the next question: this one was read to its end."""
        response = self._response
        if not response or not (response.isclosed() or response.length == 0):
            return False
        response.close()
        return _there(self.connection)


class Lines:
    """Of one way out."""

    def __init__(self, way: WayOut) -> None:
        self._way = way
        self._idle: dict[Place, tuple[float, Plain]] = {}

    @contextmanager
    def to(self, url: str, limits: Limits) -> Iterator[Line]:
        """Raises `ValueError` for what is no address."""
        parts = urlsplit(url)
        place = Tls if parts.scheme == "https" else Plain, parts.hostname or "", parts.port
        kept = self._take(place)
        line = Line(url, kept or place[0](*place[1:], limits, self._way), kept=kept is not None)
        line.connection.limits.renew(limits)
        try:
            yield line
        finally:
            if line.free and place not in self._idle:
                while len(self._idle) >= MOST:
                    self._idle.pop(next(iter(self._idle)))[1].close()
                self._idle[place] = time.monotonic() + KEPT, line.connection
            else:
                line.connection.close()

    def hang_up(self) -> None:
        """Nothing is asked for a while."""
        while self._idle:
            self._idle.popitem()[1][1].close()

    def _take(self, place: Place) -> Plain | None:
        until, connection = self._idle.pop(place, (0.0, None))
        if connection and (time.monotonic() > until or not _there(connection)):
            connection.close()
            return None
        return connection


def _there(connection: Plain) -> bool:
    """Whether it is open, and nothing lies in it that nobody asked for; an end is something to be read, too."""
    return connection.sock is not None and not readable(connection.sock, 0)
