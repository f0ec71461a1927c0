"""The update server as a process of its own, beside a controller: builds take nothing from who answers boxes.

In: settings. Out: a server that listens, until the context ends. Rules: it ends with whoever began it, however that
ends (its pipe does); one that ended by itself is begun again, after a pause that grows; what keeps it from listening at
the start is an error here, as if it were in this process.

    with Beside(settings, partial(configure_logging, logging.INFO)) as urls:
        ...
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import structlog

from gitops.errors import SettingsError, StoreError, TowerosError
from gitops.server.app import settled
from gitops.server.listeners import Urls, listening
from gitops.server.people.rendering import Apart
from gitops.settings import Settings
from gitops.store import Store

log = structlog.get_logger(__name__)

BEGINS, ENDS = 120.0, 30.0
"""Seconds until it listens, on a slow machine; and until it has answered what is under way."""
PAUSE, MAX_PAUSE = 1.0, 60.0
"""Seconds before it is begun again."""
LONG = 60.0
"""Seconds after which one that ran is no failed start."""


def nothing() -> None:
    """What there is to prepare, if nobody says it."""


class Beside:
    """One server, and whoever begins it again. `prepare` is called in its process first; it has a name there."""

    def __init__(self, settings: Settings, prepare: Callable[[], object] = nothing) -> None:
        self._made, self._over = (settings, prepare), threading.Event()
        self._lock = threading.Lock()
        self._running: tuple[BaseProcess, Connection] | None = None
        self._watch = threading.Thread(target=self._watches, name="server-watch", daemon=True)

    def __enter__(self) -> Urls:
        """Raises:
        SettingsError: it cannot listen.
        StoreError: its store cannot be opened.
        """
        self._running, urls = _begun(*self._made)
        self._watch.start()
        return urls

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._lock:
            if self._running:
                _ended(*self._running)

    @property
    def process(self) -> int:
        """Its number; 0: none runs."""
        return (self._running[0].pid or 0) if self._running else 0

    def _watches(self) -> None:
        pause, began = PAUSE, time.monotonic()
        while not self._over.is_set():
            if self._running:
                self._running[0].join(PAUSE)
                if self._running[0].is_alive():
                    continue
                pause = PAUSE if time.monotonic() - began > LONG else min(2 * pause, MAX_PAUSE)
                log.error("server.ended", code=self._running[0].exitcode, again_in=pause)
            if not self._over.wait(pause):
                began = time.monotonic()
                self._begin_again()

    def _begin_again(self) -> None:
        with self._lock:
            if self._over.is_set():
                return
            try:
                self._running, _ = _begun(*self._made)
            except TowerosError as error:
                self._running = None
                log.error("server.failed", error=error.message, hint=error.hint)


def _begun(settings: Settings, prepare: Callable[[], object]) -> tuple[tuple[BaseProcess, Connection], Urls]:
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serves, args=(settings, prepare, theirs), name="update-server")
    process.start()
    theirs.close()  # so that its end is seen here, and ours there
    try:
        return (process, ours), _said(ours)
    except BaseException:  # a signal is one, too: nobody would know of that process any more
        _ended(process, ours, 0)
        raise


def _said(connection: Connection) -> Urls:
    """Where it listens. Raises what it raised."""
    try:
        said = connection.recv() if connection.poll(BEGINS) else TowerosError("the update server does not begin")
    except (EOFError, OSError):
        said = TowerosError("the update server ended while it began", hint="the log says why")
    if isinstance(said, TowerosError):
        raise said
    assert isinstance(said, Urls)
    return said


def _ended(process: BaseProcess, connection: Connection, seconds: float = ENDS) -> None:
    """What is under way is answered; what takes longer is ended."""
    connection.close()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()


def _serves(settings: Settings, prepare: Callable[[], object], whoever: Connection) -> None:
    """Until nobody is there any more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the controller, which ends this one
    with contextlib.suppress(OSError):  # begun again, it has the priority of a controller that builds
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    prepare()
    try:
        store = Store.of(settings)
        settled()
        with Apart(settings) as render, listening(store, settings, render) as urls:
            whoever.send(urls)
            whoever.poll(None)  # nobody says a word: this is the end of the other side
    except TowerosError as error:
        kind = next((each for each in (SettingsError, StoreError) if isinstance(error, each)), TowerosError)
        whoever.send(kind(error.message, hint=error.hint))
