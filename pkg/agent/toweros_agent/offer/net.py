"""Bytes over HTTP, bounded in size and time, with downloads that go on where they stopped.

Every request has a time-out, every answer a limit; what is asked in one step goes over one connection. A download is
kept in a file and continued with Range after a broken connection, a restart or a power cut; whoever asked checks the
content before using it.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING

from toweros_agent import deadlines
from toweros_agent.host.connections import DIRECT, Limits
from toweros_agent.host.lines import Lines
from toweros_agent.offer.copies.registry import SCHEME, of_registry
from toweros_agent.offer.patience import BUSY, asked, back_off
from toweros_agent.offer.proving import Prover
from toweros_agent.wiring.way_out import WayOut

if TYPE_CHECKING:
    from toweros_agent.offer.carried import Carried
    from toweros_agent.offer.copies.near import Near

CHUNK = 64 << 10
RECEIPT, SSH, CHALLENGE, WAITS = "toweros-receipt", "toweros-ssh", "toweros-challenge", "toweros-waits"
BUNDLE, SITE, SERVER = "bundle", "noc", "server"
"""From where content came: what somebody carried here, the site's own server, the server or one of its mirrors."""
SMALL, REMOTE = "toweros-small", "toweros-remote"
CARRIED = "bundle:"
"""How addresses begin that are in a bundle (carried.py), not on the network."""
NO_CACHE = {"Cache-Control": "no-cache"}
ATTEMPTS = 5


class NetError(Exception):
    """The server is out of reach, or does not do what was asked.

    `status` is its HTTP status, 0 when there is none; `receipt` what it says of a report that it does not take.
    """

    def __init__(self, message: str, status: int = 0, receipt: str = "") -> None:
        super().__init__(message)
        self.status, self.receipt = status, receipt


class Http:
    """One way out. `tick` is called between any two waits; `pause` waits; `received` counts bytes of content.

    All that is asked ends at `until`, a moment of the monotonic clock that `within` sets; `silence` bounds each wait.
    `server_time` is what the last answer said that the time is, `challenge` what it asks of a TPM. `waits`: whoever
    answers says that the server is away behind it; `small`: that it has the last report whole; `remote`: who asks to
    come in. `sources`: from where downloads came. `doubted`: where addresses begin whose content was not what is
    signed: caches on the way are to ask their origin again (RFC 9111, 5.2.1.4). `carried`: what `bundle:` names;
    `near`: who is asked before the server.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        pause: Callable[[float], None],
        silence: float = deadlines.SILENCE,
        way: WayOut = DIRECT,
        near: "Near | None" = None,
    ) -> None:
        self.way, self.near, self.lines = way, near, Lines(way)
        self.tick, self.pause, self.silence, self.received = tick, pause, silence, 0
        self.until, self.server_time, self.certificate, self.challenge = float("inf"), 0.0, "", ""
        self.waits, self.small, self.remote = False, False, ""
        self._patience = 0.0
        self.carried: Carried | None = None
        self.prover = Prover(str, lambda _: b"")
        self.doubted: set[str] = set()
        self.sources: set[str] = set()
        self._source = SERVER

    def doubt(self, url: str) -> None:
        """What begins so is not what is signed: whoever has the original is asked."""
        self.doubted.add(url)
        self.pass_over()

    def pass_over(self) -> None:
        """Ask the server itself for a while."""
        if self.near:
            self.near.pass_over()

    def rest(self, seconds: float) -> float:
        """Nothing is asked for so long, and nothing stays open meanwhile. Returns the seconds that answers asked for
        since this was called last (patience.py)."""
        if seconds:
            self.lines.hang_up()
        asked_for, self._patience = self._patience, 0.0
        return asked_for

    def within(self, seconds: float) -> None:
        """What is asked from now on may take so long altogether."""
        self.until = time.monotonic() + seconds

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """What is asked in this context may take so long, if it may take so long at all."""
        before = self.until
        self.until = min(before, time.monotonic() + seconds)
        try:
            yield
        finally:
            self.until = before

    @contextmanager
    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[HTTPResponse]:
        """Answers of 200 to 399, as they are. Raises `NetError` for anything else."""
        ways = self.near.ways(url, method) if self.near and not url.startswith(tuple(self.doubted)) else (url,)
        with ExitStack() as stack:
            yield self._first(stack, ways, lambda way: self._request(method, way, headers, body))

    def _first(
        self, stack: ExitStack, ways: tuple[str, ...], ask: Callable[[str], AbstractContextManager[HTTPResponse]]
    ) -> HTTPResponse:
        """Who answers first. What others than the server say alone (the server is away behind them; they have no such
        thing) is heard if the server is away from here, too."""
        kept: HTTPResponse | None = None
        missing: NetError | None = None
        for way in ways[:-1]:
            try:
                response, self._source = stack.enter_context(ask(way)), self._source_of(way)
                if WAITS not in response.headers:
                    return response
                kept = response
            except NetError as error:
                missing = error if 400 <= error.status < 500 else None
                if not missing and self.near:
                    self.near.pass_over(way)
        try:
            response, self._source = stack.enter_context(ask(ways[-1])), SERVER
            return response
        except NetError as error:
            if error.status or not (kept or missing):
                raise
            if kept:
                self.waits, self._source = True, SITE
                return kept
            raise missing or error from error

    def _source_of(self, way: str) -> str:
        """A copy is the server's word, wherever it lies."""
        return SITE if self.near and self.near.is_noc(way) else SERVER

    @contextmanager
    def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None
    ) -> Iterator[HTTPResponse]:
        if url.startswith(SCHEME):
            with _registered(self._request, method, url, headers or {}) as response:
                yield response
            return
        said = dict(headers or {}) | (NO_CACHE if url.startswith(tuple(self.doubted)) else {})
        try:
            with self.lines.to(url, Limits(self.until, self.silence, self.tick)) as line:
                response = line.ask(method, body, said | self.prover.header(url))
                if self.prover.asked(url, response):
                    response = line.ask(method, body, said | self.prover.header(url))
                self._hear(method, url, response)
                if response.status >= 400:
                    receipt = response.headers.get(RECEIPT, "")
                    raise NetError(f"{url}: HTTP {response.status}", response.status, receipt)
                yield response
        except (OSError, HTTPException, ValueError) as error:
            raise NetError(f"{url}: {type(error).__name__}: {error}") from error

    def _hear(self, method: str, url: str, response: HTTPResponse) -> None:
        """What an answer says beside its content."""
        self.server_time = _date(response)
        said_after = response.headers.get("Retry-After", "")
        self._patience = max(self._patience, asked(response.status, said_after, self.server_time))
        self.challenge = response.headers.get(CHALLENGE, self.challenge)
        if method == "POST" or url.endswith("/timestamp.json"):
            self.waits = WAITS in response.headers

    def get(self, url: str, limit: int, headers: Mapping[str, str] | None = None) -> tuple[int, str, bytes]:
        """Status, ETag and content of a small document. Raises `NetError`, also for more than `limit` bytes."""
        if self.carried and url.startswith(CARRIED):
            return 200, "", self.carried.read(url, limit)
        with self.request("GET", url, headers) as response:
            data = b"".join(self._chunks(response, limit, url))
            _complete(response, len(data), url)
            return response.status, response.headers.get("ETag", ""), data

    def size(self, url: str) -> int | None:
        """How many bytes a GET would bring; None when there is no such thing."""
        if self.carried and url.startswith(CARRIED):
            return self.carried.size(url)
        try:
            with self.request("HEAD", url) as response:
                length = response.headers.get("Content-Length", "")
                return int(length) if response.status == 200 and length.isdigit() else None
        except NetError as error:
            if error.status in (404, 405, 410):
                return None
            raise

    def post(self, url: str, body: bytes) -> str:
        """The receipt's header ("": there is none)."""
        with self.request("POST", url, {"Content-Type": "application/json"}, body) as response:
            response.read(CHUNK)
            self.certificate, self.small = response.headers.get(SSH, ""), SMALL in response.headers
            self.remote = response.headers.get(REMOTE, "")
            return response.headers.get(RECEIPT, "")

    def download(self, url: str, part: Path, limit: int) -> None:
        """Bring `url` into `part`, going on from what is there already. At most `limit` bytes in all.

        Raises:
            NetError: not there, too much, or still broken after `ATTEMPTS` attempts.
            OSError: `part` cannot be written.
        """
        if self.carried and url.startswith(CARRIED):
            self.carried.copy(url, part, limit, self.tick)
            return self.sources.add(BUNDLE)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._go_on(url, part, limit)
                return self.sources.add(self._source)
            except NetError as error:
                if 400 <= error.status < 500 or attempt == ATTEMPTS or (left := self.until - time.monotonic()) <= 0:
                    raise
                self.pause(min(back_off(attempt, self._patience if error.status in BUSY else 0.0), left))

    def _go_on(self, url: str, part: Path, limit: int) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have >= limit:
            have = 0
        with self.request("GET", url, {"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise NetError(f"{url}: the server sent another range than asked for")
            have = have if response.status == 206 else 0
            chunks = self._chunks(response, limit - have, url)
            total = save(part, have, chunks)
            _complete(response, total - have, url)

    def _chunks(self, response: HTTPResponse, limit: int, url: str) -> Iterator[bytes]:
        for chunk in _bounded(response, limit, url):
            self.received += len(chunk)
            yield chunk
            self.tick()


def _bounded(response: HTTPResponse, limit: int, url: str) -> Iterator[bytes]:
    """What it brings: no more than was promised, and not for ever."""
    total, window, before = 0, time.monotonic() + deadlines.RATE_WINDOW, 0
    while chunk := response.read1(CHUNK):
        total += len(chunk)
        if total > limit:
            raise NetError(f"{url}: more than the {limit} bytes that were promised", 413)
        if time.monotonic() >= window:
            if total - before < deadlines.MIN_RATE * deadlines.RATE_WINDOW:
                raise NetError(f"{url}: brings less than {deadlines.MIN_RATE} bytes a second", 408)
            window, before = time.monotonic() + deadlines.RATE_WINDOW, total
        yield chunk


@contextmanager
def _registered(
    request: Callable[..., AbstractContextManager[HTTPResponse]], method: str, url: str, headers: Mapping[str, str]
) -> Iterator[HTTPResponse]:
    try:
        with of_registry(lambda *words: request(*words, None), method, url, headers) as response:
            yield response
    except ValueError as error:
        raise NetError(f"{url}: {error}") from error


def _date(response: HTTPResponse) -> float:
    """What the server says that the time is, unsigned; 0: nothing that can be read."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def _complete(response: HTTPResponse, got: int, url: str) -> None:
    """`http.client` takes a connection that ends early for the end of the answer."""
    expected = response.headers.get("Content-Length", "")
    if response.status in (200, 206) and expected.isdigit() and got != int(expected):
        raise NetError(f"{url}: ends after {got} of {expected} bytes")


def save(part: Path, offset: int, chunks: Iterable[bytes]) -> int:
    """Write `chunks` from `offset` on; return the size of the file. Errors of the disk are not errors of the net."""
    with part.open("r+b" if offset else "wb") as file:
        file.truncate(offset)
        file.seek(offset)
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()
