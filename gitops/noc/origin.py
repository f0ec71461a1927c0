"""Where a copy comes from: an update server, or a folder that was carried here.

In: names as boxes ask for them (`metadata/timestamp.json`, `layers/ROOT.zst`). Out: bytes, none of them believed.
Rules: every answer has a limit and every wait an end; what is brought into a file goes on where it stopped; a server
that sends less than `RATE` bytes a second is given up.

    origin = Origin("http://updates.example:8080")
    origin.get("metadata/timestamp.json", 16 << 10)
    origin.bring("layers/ROOT.zst", part, most=4096)
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gitops.errors import TowerosError
from gitops.store.files.layout import Layout
from gitops.web.ask import Answer, Bounds, WebError, ask

CONNECT, SILENCE, SMALL = 10.0, 20.0, 60.0
"""Seconds until a connection stands, without a byte, and for a small document."""
LARGE = 3600.0
"""Seconds for one piece of a large file; the next one goes on behind it."""
RATE, WINDOW = 256, 60.0
"""Bytes a second, over so many seconds."""
PIECE = 1 << 20
WAITS, NUMBER = "toweros-waits", re.compile(r"[0-9]{1,12}")
DIGEST = re.compile(r"[0-9a-f]{64}")
CHALLENGE = re.compile(r"TowerOS-Fetch ([0-9]{1,12}\.[0-9a-f]{32})")
"""What an origin asks that hands out files to its own alone (`server.boxes.fetching`)."""


class OriginError(TowerosError):
    """The origin is away, too slow, or answers with what was not asked for.

    `missing`: it answers that there is no such thing. `large`: there is more of it than there may be.
    """

    def __init__(self, message: str, *, missing: bool = False, large: bool = False) -> None:
        super().__init__(message)
        self.missing, self.large = missing, large


class Source(Protocol):
    """Where names are asked for."""

    def get(self, name: str, most: int) -> bytes:
        """A small document, of at most `most` bytes.

        Raises:
            OriginError: it is not there, too large, or does not come.
        """

    def bring(self, name: str, part: Path, most: int) -> None:
        """All of a file into `part`, behind what is there already; at most `most` bytes in all.

        Raises:
            OriginError: as `get`; what came stays. OSError: `part` cannot be written.
        """


@dataclass
class Origin:
    """An update server, or another NOC. `until` (monotonic seconds): when the present pass ends; `waits`: since when a
    NOC says that the server behind it is away (Unix seconds), 0: nobody does. `prove`: the header by which a challenge
    is answered, where the origin hands out files to its own alone; "": nobody can."""

    url: str
    until: float = float("inf")
    waits: int = 0
    prove: Callable[[str], str] = lambda _: ""
    proof: str = ""
    """The last one."""

    def get(self, name: str, most: int) -> bytes:
        url, bounds = f"{self.url}/{name}", self._bounds(SMALL, most)
        with _telling(url), self._ask(url, bounds, {}) as answer:
            self._whole(name, answer.status, (200,))
            if name.endswith("/timestamp.json"):
                since = answer.headers.get(WAITS, "")
                self.waits = int(since) if NUMBER.fullmatch(since) else int(time.time()) if since else 0
            data = answer.read()
            _enough(name, len(data), most)
            _complete(name, answer.headers.get("content-length", ""), len(data))
            return data

    def bring(self, name: str, part: Path, most: int) -> None:
        have = part.stat().st_size if part.exists() else 0
        have = have if have < most else 0
        said = {"Range": f"bytes={have}-"} if have else {}
        bounds = self._bounds(LARGE, most - have)
        with _telling(f"{self.url}: {name}"), self._ask(f"{self.url}/{name}", bounds, said) as answer:
            if answer.status == 416:  # what is here is not the beginning of what is there
                part.unlink(missing_ok=True)
            self._whole(name, answer.status, (200, 206))
            if answer.status == 206 and not answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
                raise OriginError(f"{self.url}: {name}: another range than was asked for")
            have = have if answer.status == 206 else 0
            length = answer.headers.get("content-length", "")
            _enough(name, have + int(length) if length.isdigit() else 0, most)
            with part.open("r+b" if have else "wb") as file:
                file.truncate(have)
                file.seek(have)
                for piece in _paced(name, answer.pieces()):
                    if file.tell() + len(piece) > most:
                        file.truncate(0)
                    _enough(name, file.tell() + len(piece), most)
                    file.write(piece)
                came = file.tell() - have
            _complete(name, length, came)

    @contextmanager
    def _ask(self, url: str, bounds: Bounds, said: dict[str, str]) -> Iterator[Answer]:
        """The answer; where the origin asks who we are, the one after that."""
        with ask(url, bounds, said | self._header(), redirects=False) as answer:
            challenge = (
                CHALLENGE.fullmatch(answer.headers.get("WWW-Authenticate", "")) if answer.status == 401 else None
            )
            if not challenge:
                yield answer
                return
            self.proof = self.prove(challenge[1])
        with ask(url, bounds, said | self._header(), redirects=False) as answer:
            yield answer

    def _header(self) -> dict[str, str]:
        return {"Authorization": self.proof} if self.proof else {}

    def _bounds(self, longest: float, most: int) -> Bounds:
        left = max(1.0, min(longest, self.until - time.monotonic()))
        return Bounds(CONNECT, SILENCE, left, most)

    def _whole(self, name: str, status: int, wanted: tuple[int, ...]) -> None:
        if status not in wanted:
            raise OriginError(f"{self.url}: {name}: HTTP {status}", missing=status in (403, 404, 410))


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """What goes wrong on the way, as an error of the origin."""
    try:
        yield
    except WebError as error:
        raise OriginError(f"{what}: {error}") from error


def _paced(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    since, got = time.monotonic(), 0
    for piece in pieces:
        got += len(piece)
        yield piece
        if (now := time.monotonic()) - since > WINDOW:
            if got < RATE * WINDOW:
                raise OriginError(f"{name}: it brings less than {RATE} bytes a second")
            since, got = now, 0


def _enough(name: str, size: int, most: int) -> None:
    if size > most:
        raise OriginError(f"{name}: more than the {most} bytes that it may have", large=True)


def _complete(name: str, said: str, came: int) -> None:
    if said.isdigit() and int(said) != came:
        raise OriginError(f"{name}: ends after {came} of {said} bytes")


@dataclass
class Folder:
    """A folder that holds what a server has: a bundle, a NOC's, a controller's state."""

    root: Path

    def get(self, name: str, most: int) -> bytes:
        with self._open(name) as read:
            data = read(most + 1)
        _enough(name, len(data), most)
        return data

    def bring(self, name: str, part: Path, most: int) -> None:
        with self._open(name) as read, part.open("wb") as target:
            while piece := read(PIECE):
                _enough(name, target.tell() + len(piece), most)
                target.write(piece)

    def place(self, name: str) -> Path:
        """Where a name lies."""
        kind, _, rest = name.partition("/")
        layout = Layout(self.root)
        if kind == "targets" and (found := DIGEST.search(rest)):
            return layout.blobs / found[0]
        return {"metadata": layout.metadata, "attestations": layout.attestations}.get(kind, self.root / kind) / rest

    @contextmanager
    def _open(self, name: str) -> Iterator[Callable[[int], bytes]]:
        """How to read it. What is wrong with it is the folder's fault, not our disk's."""
        path = self.place(name)
        try:
            if path.is_symlink() or not path.is_file():
                raise OriginError(f"{path}: it is not there", missing=True)
            file = path.open("rb")
        except OSError as error:
            raise OriginError(f"{path}: {error.strerror}") from error

        def read(most: int) -> bytes:
            try:
                return file.read(most)
            except OSError as error:
                raise OriginError(f"{path}: it cannot be read: {error.strerror}") from error

        with file:
            yield read
