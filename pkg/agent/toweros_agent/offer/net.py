"""Bytes over HTTP, bounded in size and time, with downloads that go on where they stopped.

Every request has a time-out, every answer a limit. A download is kept in a file and continued with Range after a broken
connection, a restart or a power cut; whoever asked checks the content before using it.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

CHUNK = 64 << 10
TIMEOUT = 30.0
"""Seconds that a server may be silent."""
TRIAL_TIMEOUT = 5.0
"""The same during probation, where rounds must not wait for a dead server."""
LONGEST = 6 * 3600.0
"""Seconds that one download may take."""
ATTEMPTS = 5
BACK_OFF = 2.0
"""Seconds before the second attempt; doubled for each further one."""


class NetError(Exception):
    """The server is out of reach, or does not do what was asked. `status` is its HTTP status, 0 when there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Http:
    """One way out. `tick` is called with every chunk; `pause` waits; `received` counts bytes of content."""

    def __init__(self, tick: Callable[[], None], pause: Callable[[float], None], timeout: float = TIMEOUT) -> None:
        self.tick, self.pause, self.timeout, self.received = tick, pause, timeout, 0

    @contextmanager
    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[HTTPResponse]:
        """Answers of 200 to 399, as they are. Raises `NetError` for anything else."""
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        try:
            connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
            try:
                connection.request(method, quote(parts.path or "/"), body, dict(headers or {}))
                response = connection.getresponse()
                if response.status >= 400:
                    raise NetError(f"{url}: HTTP {response.status}", response.status)
                yield response
            finally:
                connection.close()
        except (OSError, HTTPException, ValueError) as error:
            raise NetError(f"{url}: {type(error).__name__}: {error}") from error

    def get(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> tuple[int, str, bytes]:
        """Status, ETag and content of a small document. Raises `NetError`, also for more than `limit` bytes."""
        with self.request("GET", url, headers) as response:
            data = b"".join(self._chunks(response, limit, url))
            return response.status, response.headers.get("ETag", ""), data

    def size(self, url: str) -> int | None:
        """How many bytes a GET would bring; None when there is no such thing."""
        try:
            with self.request("HEAD", url) as response:
                length = response.headers.get("Content-Length", "")
                return int(length) if response.status == 200 and length.isdigit() else None
        except NetError as error:
            if error.status in (404, 405, 410):
                return None
            raise

    def post(self, url: str, body: bytes) -> None:
        with self.request("POST", url, {"Content-Type": "application/json"}, body) as response:
            response.read(CHUNK)

    def download(self, url: str, part: Path, limit: int) -> None:
        """Bring `url` into `part`, going on from what is there already. At most `limit` bytes in all.

        Raises:
            NetError: not there, too much, or still broken after `ATTEMPTS` attempts.
            OSError: `part` cannot be written.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._go_on(url, part, limit)
            except NetError as error:
                if 400 <= error.status < 500 or attempt == ATTEMPTS:
                    raise
                self.pause(BACK_OFF * 2 ** (attempt - 1))

    def _go_on(self, url: str, part: Path, limit: int) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have >= limit:
            have = 0
        with self.request("GET", url, {"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise NetError(f"{url}: the server sent another range than asked for")
            have = have if response.status == 206 else 0
            expected = response.headers.get("Content-Length")
            chunks = self._chunks(response, limit - have, url)
            total = _save(part, have, chunks)
        if expected and expected.isdigit() and total != have + int(expected):
            raise NetError(f"{url}: ends after {total} of {have + int(expected)} bytes")

    def _chunks(self, response: HTTPResponse, limit: int, url: str) -> Iterator[bytes]:
        end, total = time.monotonic() + LONGEST, 0
        while chunk := response.read1(CHUNK):
            total += len(chunk)
            self.received += len(chunk)
            if total > limit:
                raise NetError(f"{url}: more than the {limit} bytes that were promised", 413)
            if time.monotonic() > end:
                raise NetError(f"{url}: takes longer than {LONGEST:.0f} s", 408)
            yield chunk
            self.tick()


def _save(part: Path, offset: int, chunks: Iterator[bytes]) -> int:
    """Write `chunks` from `offset` on; return the size of the file. Errors of the disk are not errors of the net."""
    with part.open("r+b" if offset else "wb") as file:
        file.truncate(offset)
        file.seek(offset)
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()
