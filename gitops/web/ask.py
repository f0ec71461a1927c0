"""One file from one URL, with an end that no server can put off.

In: a URL, bounds. Out: an answer, and its bytes in a file. Rules: after `longest` seconds every connection is cut,
whatever is waited for (a header a byte at a time, `100 Continue` without end, the size of a chunk); five redirects are
followed, to http and https alone, and their bodies are never read; nothing that a .netrc says is sent; every request
has connections of its own.

    with ask("http://files.example/a.deb", Bounds(connect=10, silence=30, longest=60, largest=2048)) as answer:
        if answer.status == 200 and answer.save(target) <= 2048: ...
"""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

CHUNK = 1 << 20
REDIRECTS = 5


@dataclass(frozen=True)
class Bounds:
    """Seconds until a connection stands, without a byte, and for all of it; bytes of the answer that are read."""

    connect: float
    silence: float
    longest: float
    largest: int


UNPROVEN = "its certificate is not proven (SSLError; REQUESTS_CA_BUNDLE names a file of authorities)"


class WebError(Exception):
    """There is no whole answer. `again`: whether to ask once more may help."""

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


class TooSlowError(WebError):
    """It took all the time that it had."""


class DowngradeError(requests.exceptions.InvalidSchema):
    """A redirect leads from https to something else."""


class Session(requests.Session):
    """As `requests` has it, but for what it would read or send that nobody asked for. `clear`: whether a redirect may
    lead from https to http."""

    def __init__(self, *, clear: bool = True) -> None:
        super().__init__()
        self._clear = clear
        self.max_redirects = REDIRECTS
        self.hooks["response"].append(_unread)
        self.auth = _nobody

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """After a redirect. The original would ask .netrc for a password of the new host."""
        strip: bool = self.should_strip_auth(response.request.url, prepared_request.url)  # type: ignore[no-untyped-call]
        if strip:
            prepared_request.headers.pop("Authorization", None)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target and not self._clear and resp.url.startswith("https://"):
            place = urljoin(resp.url, target)
            if not place.lower().startswith("https://"):
                raise DowngradeError(resp.url)
        return target


class Answer:
    """What a server said; its body is still to come."""

    def __init__(self, response: requests.Response, wire: "_Wire", largest: int) -> None:
        self._response, self._wire, self._largest = response, wire, largest
        self.status, self.headers = response.status_code, response.headers
        self.downgraded = response.url.startswith("http://") and any(
            before.url.startswith("https://") for before in response.history
        )
        """Whether a redirect led from https to http."""

    def save(self, target: Path, *, unpack: bool = False) -> int:
        """Write the body; how many bytes were written: when they are more than `largest`, the rest was not read.

        Raises:
            WebError: it does not come to its end. OSError: `target` cannot be written.
        """
        with target.open("wb") as out:
            while out.tell() <= self._largest and (chunk := self._read(unpack)):
                out.write(chunk)
            return out.tell()

    def read(self) -> bytes:
        """The body as it comes; if it has more than `largest` bytes, the rest was not read. Raises WebError."""
        parts, size = list[bytes](), 0
        while size <= self._largest and (chunk := self._read(unpack=False)):
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes, piece by piece, without a limit. Raises WebError."""
        while chunk := self._read(unpack=False):
            yield chunk

    def _read(self, unpack: bool) -> bytes:
        """`read1` returns what is there: `iter_content` waits for a whole chunk, for hours if a server wants that."""
        with self._wire.telling():
            return bytes(self._response.raw.read1(CHUNK, decode_content=unpack))


@contextmanager
def ask(
    url: str,
    bounds: Bounds,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes | tuple[str, bytes] | None = None,
    trusted: str | None = None,
    redirects: bool = True,
) -> Iterator[Answer]:
    """Ask for one URL. `body`: it is sent there, by POST or the method beside it. `trusted`: a file or folder of
    authorities for certificates.

    Raises:
        WebError: nobody answers, or not to the end.
    """
    method, data = body if isinstance(body, tuple) else ("GET" if body is None else "POST", body)
    with contextlib.closing(_Wire(bounds.longest)) as wire, Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(wire))
        with wire.telling():
            times = (bounds.connect, bounds.silence)
            response = session.request(
                method,
                url,
                data=data,
                headers=dict(headers or {}),
                stream=True,
                timeout=times,
                verify=trusted,
                allow_redirects=redirects,
            )
        with response:
            yield Answer(response, wire, bounds.largest)


class _Wire:
    """The connections of one request, all of which are cut when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._sockets: list[socket.socket] = []
        self._lock, self._over = threading.Lock(), False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connection: socket.socket) -> None:
        """A copy: TLS takes the original over. What is shut down is the connection of both."""
        with self._lock:
            self._sockets.append(connection.dup())
        if self._over:
            self._cut()

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What goes wrong, in our words. A connection that was cut looks like an answer that came to its end."""
        try:
            yield
        # ValueError: a server may send everybody to an address that is none.
        except (requests.RequestException, HTTPError, ValueError) as error:
            self._check()
            patient = not isinstance(error, requests.Timeout | requests.TooManyRedirects)
            words = UNPROVEN if isinstance(error, requests.exceptions.SSLError) else type(error).__name__
            raise WebError(words, again=patient) from error
        self._check()

    def _check(self) -> None:
        if self._over:
            raise TooSlowError("it is too slow")

    def _cut(self) -> None:
        self._over = True
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError):  # the other side was first
                    each.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Tells a wire of every connection, before a byte is read from it."""

    def __init__(self, wire: _Wire) -> None:
        super().__init__()
        self._wire = wire

    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **more)
        kind, wire = pool.ConnectionCls, self._wire

        class Watched(kind):  # type: ignore[misc, valid-type]  # direct, over TLS, or through a proxy
            def _new_conn(self) -> socket.socket:
                made: socket.socket = super()._new_conn()
                wire.watch(made)
                return made

        if not hasattr(kind, "watched"):
            Watched.watched = True
            pool.ConnectionCls = Watched
        return pool


def _unread(answer: requests.Response, **_: object) -> None:
    """Before it follows a redirect, and even when it does not, `requests` reads its body whole: this one is empty."""
    if answer.is_redirect:
        answer._content = b""
        answer.close()  # with its connection: what was not read would be the next answer's beginning


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from sending what a .netrc says."""
    return request
