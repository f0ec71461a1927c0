"""How far the making of a plan is: `3 of 22`, by name, with bytes and seconds; in the log, and in the store.

In: the steps, as they begin and end. Out: one document (`Work`), and a line of the log for each. Rules: it is written
at most once in `EVERY` seconds where steps are many and short; at the end it says that nothing is made. A controller
that was killed leaves it behind: `clear` takes it away before the next pass.

    with Progress(store) as progress:
        for step in progress.each("build", plan.builds):
            ...
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from gitops.errors import StoreError
from gitops.model import Step
from gitops.store import LeaseError, Store
from gitops.store.notes.working import Work

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two writings, where steps are short: a build never is."""
BUILD = "build"
NOTHING = Work()


class Progress:
    """Of one pass."""

    def __init__(self, store: Store) -> None:
        self._store, self._now, self._written = store, NOTHING, 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        clear(self._store)

    def each(self, do: str, steps: Sequence[Step]) -> Iterator[Step]:
        """The steps, each told as it begins, and when it ended."""
        self._now = Work(do, of=len(steps))
        for number, step in enumerate(steps, 1):
            begun, now = time.monotonic(), int(time.time())
            self._now = replace(self._now, subject=step.subject, number=number, since=now, at=now)
            self._write(now=do == BUILD or number == 1)
            yield step
            took = round(time.monotonic() - begun, 1)
            log.info("progress", do=do, step=f"{number} of {len(steps)}", subject=step.subject, seconds=took,
                     size=self._now.size, failed=self._now.failed)  # fmt: skip

    def made(self, key: str) -> None:
        """A package was built: its image, by the package's key."""
        image = self._store.builds.image(key)
        for layer in image.layers if image else ():
            with suppress(OSError):
                self._now = replace(self._now, size=self._now.size + self._store.blobs.path(layer).stat().st_size)

    def failed(self) -> None:
        self._now = replace(self._now, failed=self._now.failed + 1)

    def _write(self, *, now: bool) -> None:
        if now or time.monotonic() - self._written >= EVERY:
            self._store.notes.put(self._now)
            self._written = time.monotonic()


def clear(store: Store) -> None:
    """Nothing is made. Who lost the lease says nothing: another one may be making something."""
    with suppress(LeaseError, StoreError):
        if (store.notes.get(Work) or NOTHING) != NOTHING:
            store.notes.put(NOTHING)
