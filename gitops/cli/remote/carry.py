"""The person's end of a session: what ssh(1) says goes to the update server, and what the box says comes back.

In: stdin and stdout of an ssh, which starts this as its ProxyCommand; the server's address and the session's name as
arguments; in the environment what proves that the person is meant. Out: an exit code; why it is over, on stderr and in
the file that the environment names. Rules: every request says from which byte on, so one that was cut off is asked
again; nothing is read of what is carried; only Python's own library, as it starts with each session.

    ssh -o "ProxyCommand=python -m gitops.cli.remote.carry http://updates.example:8080 site-7.00c0ffee00c0ffee" site-7
"""

import json
import os
import signal
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

TOKEN, SAYS = "TOWEROS_REMOTE_TOKEN", "TOWEROS_REMOTE_SAYS"
PIECE = 32 << 10
SILENCE = 30.0
"""Seconds for one answer: the server waits ten for bytes."""
PATIENCE, PAUSE = 30.0, 0.3
"""Seconds for which a server may be away, and between two attempts."""
OVER = 410
AGAIN = (429, 500, 502, 503, 504)
LEFT = "the person left"


class OverError(Exception):
    """The session is over; the message says why, "" where that needs no word."""


class End:
    """One direction of it."""

    def __init__(self, server: str, session: str, token: str) -> None:
        self._at, self._path = urlsplit(server), f"{urlsplit(server).path}/api/v1/remote/{session}/person"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: HTTPConnection | None = None
        self._bytes = 0

    def read(self) -> bytes:
        """The next bytes; b"": none for now. Raises `OverError`."""
        data = self._insist("GET", None)
        self._bytes += len(data)
        return data

    def write(self, data: bytes) -> None:
        """Raises `OverError`."""
        self._insist("POST", data)
        self._bytes += len(data)

    def leave(self, why: str) -> None:
        """Whoever does not hear it finds out."""
        try:
            self._ask("DELETE", why.encode())
        except (OSError, HTTPException):
            self._close()

    def _insist(self, method: str, body: bytes | None) -> bytes:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                status, data = self._ask(method, body)
                if status < 300:
                    return data if status == 200 else b""
                problem = _detail(data) if status == OVER else f"the server says {status}: {_detail(data)}"
                if status not in AGAIN:
                    raise OverError(problem)
            except (OSError, HTTPException, ValueError) as error:
                self._close()
                problem = f"the server is away: {error}"
            if time.monotonic() > until:
                raise OverError(problem)
            time.sleep(PAUSE)

    def _ask(self, method: str, body: bytes | None) -> tuple[int, bytes]:
        if self._connection is None:
            kind = HTTPSConnection if self._at.scheme == "https" else HTTPConnection
            self._connection = kind(self._at.hostname or "", self._at.port, timeout=SILENCE)
        self._connection.request(method, f"{self._path}?at={self._bytes}", body, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def _detail(data: bytes) -> str:
    """RFC 9457, as a terminal can show it."""
    try:
        said = str(json.loads(data).get("detail", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""
    return "".join(each if each.isprintable() else "?" for each in said[:500])


def up(end: End) -> None:
    """What ssh says, until it has no more to say."""
    try:
        while data := os.read(0, PIECE):
            end.write(data)
        end.leave("")
    except OverError:
        pass  # whoever reads says why


def down(end: End) -> str:
    """What the box says, until it is over: why."""
    try:
        while True:
            rest = memoryview(end.read())
            while rest:
                rest = rest[os.write(1, rest) :]
    except OverError as over:
        return str(over)
    except BrokenPipeError:
        return ""


def main() -> int:
    where = sys.argv[1], sys.argv[2], os.environ.pop(TOKEN)

    def left(*_: object) -> None:
        End(*where).leave(LEFT)
        sys.exit()

    for ending in (signal.SIGHUP, signal.SIGTERM):  # as ssh ends it
        signal.signal(ending, left)
    threading.Thread(target=up, args=(End(*where),), daemon=True).start()
    if why := down(End(*where)):
        sys.stderr.write(f"toweros: the session is over: {why}\r\n")
        if place := os.environ.get(SAYS):
            Path(place).write_text(why)
    return 0


if __name__ == "__main__":
    sys.exit(main())
