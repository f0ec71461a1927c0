"""One direction of a session: bytes to the update server, or from it, by requests that can be asked again.

In: the address of a session on the server, how this box proves itself. Out: bytes, in their order, each once. Rules:
every request says from which byte on, so one that was cut off is asked again and nothing is lost or doubled; no wait is
longer than `Limits` lets it; a server that does not answer for `PATIENCE` seconds is gone.

    GET    /api/v1/remote/BOX.SERIAL/box?at=N       200 bytes from N on; 204: none for now; 410: it is over, and why
    POST   /api/v1/remote/BOX.SERIAL/box?at=N       204: taken
    DELETE /api/v1/remote/BOX.SERIAL/box            the body: why it is over
"""

import json
import time
from http.client import HTTPException
from urllib.parse import urlsplit

from toweros_agent import deadlines
from toweros_agent.host.connections import Limits, Plain, Tls
from toweros_agent.wiring.way_out import WayOut

PATIENCE = 30.0
"""Seconds."""
PAUSE = 0.3
MOST_ANSWER = 256 << 10
"""Bytes of one answer."""
OVER = 410
TAKES_NOT = (400, 401, 403, 404, 409, 413)
"""What asking again does not change."""


class Over(Exception):  # noqa: N818 - an end, not an accident
    """The session is over; the message says why, "" where that needs no word."""


class Line:
    """`url` is that of the session's end on the server; `end`: a moment of the monotonic clock."""

    def __init__(self, url: str, proof: str, way: WayOut, end: float) -> None:
        self._parts, self._headers, self._way = urlsplit(url), {"Authorization": proof}, way
        self._limits = Limits(end, deadlines.SILENCE)
        self._connection: Plain | None = None
        self.at = 0

    def read(self) -> bytes:
        """The next bytes; b"": none for now. Raises `Over`."""
        status, data = self._insist("GET", f"?at={self.at}")
        self.at += len(data) if status == 200 else 0
        return data if status == 200 else b""

    def write(self, data: bytes) -> None:
        """Raises `Over`."""
        self._insist("POST", f"?at={self.at}", data)
        self.at += len(data)

    def end(self, why: str) -> None:
        """Say that it is over; who does not hear it finds out."""
        try:
            self._ask("DELETE", "", why.encode())
        except (OSError, HTTPException):
            pass
        finally:
            self.close()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _insist(self, method: str, query: str, body: bytes | None = None) -> tuple[int, bytes]:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                status, data = self._ask(method, query, body)
                if status < 300:
                    return status, data
                if status == OVER or status in TAKES_NOT:
                    raise Over(_why(data) or f"the server says {status}")
                problem = f"the server says {status}"
            except (OSError, HTTPException, ValueError) as error:
                self.close()
                problem = f"the server is away: {error}"
            if time.monotonic() > until:
                raise Over(problem)
            time.sleep(PAUSE)

    def _ask(self, method: str, query: str, body: bytes | None = None) -> tuple[int, bytes]:
        if not self._connection:
            kind = Tls if self._parts.scheme == "https" else Plain
            self._connection = kind(self._parts.hostname or "", self._parts.port, self._limits, self._way)
        proxied = self._connection.proxy and self._parts.scheme != "https"
        whole = f"http://{self._parts.netloc}" if proxied else ""  # RFC 9112, 3.2.2
        self._connection.request(method, f"{whole}{self._parts.path}{query}", body, self._headers)
        answer = self._connection.getresponse()
        data = answer.read(MOST_ANSWER + 1)
        if len(data) > MOST_ANSWER:
            raise ValueError("too much at once")
        return answer.status, data


def _why(data: bytes) -> str:
    """The `detail` of RFC 9457, as far as a log takes it."""
    try:
        said = json.loads(data).get("detail", "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return "".join(each if each.isprintable() else "?" for each in said[:500]) if isinstance(said, str) else ""
