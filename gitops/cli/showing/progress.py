"""How far a pass is, on stderr while it works: in one place on a terminal, else a line for each step that is seen.

In: the store that the pass writes its progress to. Out: lines such as `build 3 of 22: pkg/sshd, 41.2 MB, 12 s`.
Rules: it looks and never writes; whatever goes wrong with it, the pass goes on without.

    with shown(store):
        controller.run_once()
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gitops.cli.showing.words import printable, talk, width
from gitops.review.text import size
from gitops.store import Store
from gitops.store.notes.working import Work

LOOK = 0.3
"""Seconds between two looks."""
CLEAR = "\r\x1b[K"


@contextmanager
def shown(store: Store) -> Iterator[None]:
    """While the context lasts."""
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(store, stop), name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join(5)


def _watch(store: Store, stop: threading.Event) -> None:
    terminal, last = sys.stderr.isatty(), ("", 0)
    with suppress(Exception):
        while not stop.wait(LOOK):
            work = store.notes.get(Work) or Work()
            if terminal and work.do:
                _write(CLEAR + words(work, int(time.time()))[: width() - 1])
            elif work.do and (work.do, work.number) != last:
                talk.print(words(work, int(time.time())))
            elif terminal and last[0]:
                _write(CLEAR)
            last = (work.do, work.number)
    if terminal and last[0]:
        _write(CLEAR)


def words(work: Work, now: int) -> str:
    """One line."""
    parts = [f"{work.do} {work.number} of {work.of}: {work.subject}"]
    parts += [size(work.size)] if work.size else []
    parts += [f"{work.failed} failed"] if work.failed else []
    return printable(", ".join([*parts, f"{max(now - work.since, 0)} s"])).replace("\n", " ")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
