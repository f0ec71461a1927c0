"""The files of the audit log: `audit/NUMBER.jsonl`, called by the number of their first line.

In: lines. Out: they are on disk, in order, or an error and nothing has changed. Rules:

- One process writes at a time, whichever it is; a line is whole and on disk when `add` returns.
- A line that a power cut tore was never promised: it is taken away, and the next line says so.
- A file has `SIZE` bytes; of more than `KEPT` the oldest goes, after a line has said which lines went.
- Who writes as root leaves what whoever owns the folder can write on.

    Files(folder).add([act], ends=0)
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from gitops.errors import StoreError
from gitops.model import sha256
from gitops.model.access.act import Act
from gitops.store.audit.chain import FIRST, MOST, Line, LineError, fit, parse
from gitops.store.files.blobs import sync_folder

SIZE, KEPT = 4 << 20, 64
"""Bytes of a file, and how many there are: some 700,000 acts."""
WAIT, LOOK = 10.0, 0.02
"""Seconds that the others' writing is waited for, and between two looks."""
DIGITS = 12
OPEN = os.O_CLOEXEC | os.O_NOFOLLOW
MENDED, DROPPED = "audit.mended", "audit.dropped"
OURS = "toweros"


class Files:
    """Of one folder, which is made by the first line. `size`, `kept`: as above."""

    def __init__(self, folder: Path, size: int = SIZE, kept: int = KEPT) -> None:
        self.folder, self._size, self._kept = folder, size, kept

    def names(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob(f"{'[0-9]' * DIGITS}.jsonl"))

    def add(self, act: Act, ends: int = 0) -> Line:
        """Raises:
        StoreError: it cannot be written: nothing is in the log of it.
        """
        try:
            with self._alone():
                self._mend(act.time)
                line = self._append(act, ends)
                self._drop(act.time)
                return line
        except OSError as error:
            hint = "nothing is done without its line here: make room, or mend the folder; docs/audit.md"
            raise StoreError(f"the audit log {self.folder} cannot be written: {error.strerror}", hint=hint) from error

    def lines(self) -> Iterator[tuple[Path, int, bytes]]:
        """Every line, oldest first: its file, its number there from 1 on, and its bytes with the line's end.

        Raises:
            StoreError: a file cannot be read.
        """
        for path in self.names():
            for number, data in enumerate(lines_of(path), 1):
                yield path, number, data

    def newest_first(self) -> Iterator[Line]:
        """Those that can be read, a file at a time."""
        for path in reversed(self.names()):
            for data in reversed([*lines_of(path)]):
                with contextlib.suppress(LineError):
                    yield parse(data.rstrip(b"\n"))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        new = not self.folder.is_dir()
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if new:
            _give(self.folder, self.folder.parent)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | OPEN, 0o640)
        try:
            _give(self.folder / "lock", self.folder)
            _lock(handle, time.monotonic() + WAIT)
            yield
        finally:
            os.close(handle)

    def _mend(self, now: int) -> None:
        """Take away the part of a line that was never promised."""
        if not (names := self.names()):
            return
        torn = _tail(names[-1])[1]
        if torn:
            os.truncate(names[-1], names[-1].stat().st_size - len(torn))
            shown = torn.decode(errors="replace")
            words = f"{len(torn)} bytes of a line that nobody finished are gone: {shown}"
            self._append(Act(now, OURS, OURS, "", MENDED, names[-1].name, words), 0)

    def _append(self, act: Act, ends: int) -> Line:
        number, before = self._head()
        line = Line(number + 1, before, fit(act), ends)
        data = line.encode() + b"\n"
        names = self.names()
        full = not names or names[-1].stat().st_size + len(data) > self._size
        path = self.folder / f"{line.number:0{DIGITS}}.jsonl" if full else names[-1]
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | OPEN, 0o640)
        try:
            if full:
                _give(path, self.folder)
            _write(handle, data)
        finally:
            os.close(handle)
        if full:
            sync_folder(self.folder)
        return line

    def _head(self) -> tuple[int, str]:
        """The number and the digest of the newest line."""
        for path in reversed(self.names()):
            if last := _tail(path)[0]:
                return _number(path, last), sha256(last)
        return 0, FIRST

    def _drop(self, now: int) -> None:
        """Let the oldest file go; the line that says so is there first."""
        while len(names := self.names()) > self._kept:
            number, digest = int(names[1].stem) - 1, sha256(_tail(names[0])[0])
            self._append(Act(now, OURS, OURS, "", DROPPED, str(number), digest), 0)
            names[0].unlink()
            sync_folder(self.folder)


def _tail(path: Path) -> tuple[bytes, bytes]:
    """The last whole line, without its end (empty: there is none), and what comes after it."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2 * MOST, 0))
        before, end, torn = file.read().rpartition(b"\n")
    return before.rpartition(b"\n")[2] if end else b"", torn


def _number(path: Path, last: bytes) -> int:
    """Of a file's last line; of one that somebody damaged, what it should have."""
    try:
        return parse(last).number
    except LineError:
        return int(path.stem) - 1 + sum(1 for _ in lines_of(path))


def lines_of(path: Path) -> Iterator[bytes]:
    """A file's lines with their ends; one that is too long comes in pieces, none of which is a line."""
    try:
        with path.open("rb") as file:
            while data := file.readline(MOST):
                yield data
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", hint="docs/audit.md") from error


def _write(handle: int, data: bytes) -> None:
    """All of it on disk, or nothing of it."""
    size, done = os.fstat(handle).st_size, 0
    try:
        while done < len(data):
            done += os.write(handle, data[done:])
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):  # what stays is a torn line: `_mend`
            os.ftruncate(handle, size)
        raise


def _lock(handle: int, until: float) -> None:
    """Raises TimeoutError: another one writes all the time."""
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError(0, f"another process has had it for {WAIT:.0f} s") from None
            time.sleep(LOOK)


def _give(path: Path, like: Path) -> None:
    """To whom a folder belongs: the controller is another user than who typed `sudo`."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
