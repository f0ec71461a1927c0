"""What takes long to make for people, in this process or in one of its own.

In: a store, and what is `Asked` for. Out: its bytes. Rules: made in a process of its own, a document
takes nothing from the one that answers boxes, neither its interpreter's lock nor its memory; that process begins with
the first who asks, has the lower priority, ends with the server however that ends, and is begun again after its own
end. One that gives nothing for `PATIENCE` seconds is ended.

    with Apart(settings) as render:
        app = create_app(store, settings, render)
"""

import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

from gitops.errors import TowerosError
from gitops.server.people.documents import AbsentError, Asked, QueryError
from gitops.server.people.pages.making import maker
from gitops.settings import Settings
from gitops.store import Store

PATIENCE = 60.0
"""Seconds that a document may take: the page of 10,000 boxes takes four."""
NICE = 5
Render = Callable[[Asked], bytes]


def here(store: Store, settings: Settings) -> Render:
    """Whoever asks makes it."""
    return maker(store, settings)


class Apart:
    """A process that makes them, one at a time."""

    patience = PATIENCE

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._running: tuple[BaseProcess, Connection] | None = None

    def __call__(self, asked: Asked) -> bytes:
        """Raises:
        TowerosError: whatever making it raised; the process ended, or took too long.
        """
        with self._lock:
            _, connection = self._running = self._running or _begun(self._settings)
            try:
                connection.send(asked)
                said = connection.recv() if connection.poll(self.patience) else None
            except (EOFError, OSError):
                self._end()
                raise TowerosError("what makes this ended; the next who asks begins it again") from None
            if said is None:
                self._end()
                raise TowerosError(f"making this took more than {self.patience:.0f} s", hint="is the database slow?")
        if isinstance(said, TowerosError):
            raise said
        assert isinstance(said, bytes)
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._running:
            process, connection = self._running
            connection.close()
            process.kill()
            process.join()
        self._running = None


def _begun(settings: Settings) -> tuple[BaseProcess, Connection]:
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_makes, args=(settings, theirs), name="documents", daemon=True)
    process.start()
    theirs.close()  # so that its end is seen here, and ours there
    return process, ours


def _makes(settings: Settings, asks: Connection) -> None:
    """Until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the server, which ends this one
    os.nice(NICE)
    render: Render | None = None
    while True:
        try:
            asked = asks.recv()
        except EOFError:
            return
        try:
            render = render or here(Store.of(settings), settings)
            asks.send(render(asked))
        except TowerosError as error:
            asks.send(_plain(error))


def _plain(error: TowerosError) -> TowerosError:
    """Of an error, what the other side knows."""
    kind = next((each for each in (AbsentError, QueryError) if isinstance(error, each)), TowerosError)
    return kind(error.message, hint=error.hint)
