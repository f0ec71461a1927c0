"""Where a process touches what outlives it: every change of a file below a folder, and every commit of a database.

Python says so before it happens (PEP 578), SQLAlchemy too. At each such edge a test may do what it likes: look, take a
copy of everything (what a power cut would leave), or raise what a disk would say. What lies between two edges is in
memory alone, so "before each edge, and after the last" is before and after each write.

    with Edges(state).at(lambda edge: copies.append(copy(state))):
        controller.run_once()
"""

import os
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NOT_YET = (".new-", ".build-", ".fetch-", ".extract-", ".tar-")
"""What has no name that counts: it is gone, or renamed, and the rename is an edge."""
_watching: "Edges | None" = None
_hooked = False


class Edges:
    """The edges of this thread at one folder."""

    def __init__(self, root: Path) -> None:
        self._root, self._act = str(root), None
        self._thread = threading.get_ident()

    @contextmanager
    def at(self, act: Callable[[str], None]) -> Iterator[None]:
        """`act` before each edge, with what is about to happen; the edges of what it does itself do not count."""
        global _watching, _hooked
        if not _hooked:  # a hook cannot be taken away again
            sys.addaudithook(_heard)
            event.listen(Engine, "commit", _commit)
            _hooked = True
        self._act, _watching = act, self  # type: ignore[assignment]
        try:
            yield
        finally:
            _watching = None

    def heard(self, what: str, path: object) -> None:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if threading.get_ident() == self._thread and self._act and (not text or self._counts(text)):
            act, self._act = self._act, None
            try:
                act(f"{what} {text.removeprefix(self._root)}".strip())
            finally:
                self._act = act

    def _counts(self, path: str) -> bool:
        inner = path.removeprefix(self._root)
        return path.startswith(self._root) and not any(word in inner for word in NOT_YET)


def _heard(name: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None:
        return
    if name in CHANGES:
        _watching.heard(name, arguments[1] if name == "os.rename" else arguments[0])
    elif name == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path, mode, flags = arguments
        if (mode and set("wax+") & set(mode)) or (mode is None and flags & WRITES):
            _watching.heard(name, path)


def _commit(connection: Connection) -> None:
    if _watching is not None and connection.get_execution_options().get("kind") not in ("read", "moment"):
        _watching.heard("commit", "")


def seen(state: Path) -> list[object]:
    """Files by name and size, and rows, but for events, the lease and what is on its way."""
    files = [path for path in state.rglob("*") if path.is_file() and "toweros.db" not in path.name]
    kept = sorted(str(path) for path in files if ".new-" not in path.name and "lease-" not in str(path))
    with closing(sqlite3.connect(state / "toweros.db")) as database:
        dump = [line for line in database.iterdump() if not re.match(r'INSERT INTO "(events|leases|sqlite_)', line)]
    return [kept, dump]
