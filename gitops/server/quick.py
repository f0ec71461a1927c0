"""What nearly every request of a fleet is, answered without parser, task and router: "Is there something new?" "No."

In: bytes that came on a connection on which nothing is under way. Out: a whole 304, or nothing: then they go the long
way, and whatever is said of them is said there. Rules:

- Only what is beyond doubt: one GET of a known file below /metadata/, whole, in plain words, each header one of `PLAIN`
  and there once, and the file is on the disk as it was when the long way read it (its number, size and time of change).
- What is answered is what the long way answers, header by header (tests/server/test_quick.py compares them).
- Nobody but files that are there fills the memory: at most `MOST` of them.

    quick = Quick(store.paths.metadata, ENCODED)
    quick.learn("timestamp.json", known, {"etag": '"..."', "cache-control": "no-cache"})       # the long way
    quick.answer(b"GET /metadata/timestamp.json HTTP/1.1\\r\\nHost: x\\r\\nIf-None-Match: ...", date)
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

MOST = 1 << 17
"""Files: a fleet of 100,000 boxes has one each that is asked for again and again."""
LONGEST = 2048
"""Bytes of a request."""
PLAIN = frozenset({b"host", b"accept", b"accept-encoding", b"connection", b"user-agent", b"if-none-match"})
REQUEST = re.compile(
    rb"GET /metadata/([a-z0-9][a-z0-9./-]{0,199}) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z-]{1,40}: ?[!-~](?:[ -~]{0,398}[!-~])?\r\n){1,12})\r\n"
)
HEADER = re.compile(rb"([A-Za-z-]+): ?([^\r]+)\r\n")
KEPT = b"keep-alive"
Known = tuple[int, int, int]


class Quick:
    """Of one folder of metadata. `headers`: what every answer of the server has."""

    def __init__(self, folder: Path, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._folder = f"{folder}/".encode()
        self._headers = _lines(headers)
        self._files: dict[bytes, tuple[Known, bytes, bytes]] = {}

    def learn(self, name: str, known: os.stat_result, headers: Mapping[str, str]) -> None:
        """`name` was read just now, and is sent with these headers; one of them is its ETag."""
        if len(self._files) >= MOST:
            del self._files[next(iter(self._files))]
        own = _lines((key.encode(), value.encode()) for key, value in headers.items())
        self._files[name.encode()] = (_known(known), headers["etag"].encode(), own)

    def answer(self, data: bytes, always: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """All of a 304; None: somebody else answers. `always`: the headers that the moment says (`date`)."""
        if len(data) > LONGEST or not (found := REQUEST.fullmatch(data)):
            return None
        entry = self._files.get(found[1])
        if not entry or not _asks_for(found[2], entry[1]):
            return None
        try:
            known = os.stat(self._folder + found[1])  # noqa: PTH116 (a Path would cost more than all the rest)
            if _known(known) != entry[0]:
                return None
        except OSError:
            return None
        return b"".join((b"HTTP/1.1 304 Not Modified\r\n", _lines(always), entry[2], self._headers, b"\r\n"))


def _asks_for(headers: bytes, etag: bytes) -> bool:
    """Whether these headers ask for what has another ETag, and for nothing else that matters."""
    said = HEADER.findall(headers)
    values = {name.lower(): value for name, value in said}
    if len(values) != len(said) or not PLAIN.issuperset(values) or b"host" not in values:
        return False
    return values.get(b"if-none-match") == etag and values.get(b"connection", KEPT).lower() == KEPT


def _known(file: os.stat_result) -> Known:
    return file.st_ino, file.st_size, file.st_mtime_ns


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%s: %s\r\n" % each for each in headers)
