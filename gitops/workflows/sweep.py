"""Once in a while, what nobody needs any more is forgotten: files of the store, and the builder's own images.

Sweeper(store, builder, journal, settings.grace).sweep(fleet)
"""

import time

from gitops.builders import Builder
from gitops.model import Fleet, Happened
from gitops.store import Store
from gitops.store.collect import collect
from gitops.workflows.journal import Journal
from gitops.workflows.safekeeping.scrub import Scrubber

EVERY = 3600.0
"""Seconds between two sweeps."""


class Sweeper:
    """Sweeps one store. `grace`: seconds that an unneeded file stays."""

    def __init__(self, store: Store, builder: Builder, journal: Journal, grace: int) -> None:
        self._store, self._builder, self._journal, self._grace = store, builder, journal, grace
        self._next = 0.0
        self._scrubber = Scrubber(store, journal)

    def sweep(self, fleet: Fleet) -> None:
        """Sweep, if it is time; what `fleet` is built from stays."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        self._scrubber.scrub()
        gone = collect(self._store, fleet.packages.values(), now=time.time(), grace=self._grace)
        if gone.files:
            self._builder.prune(fleet.packages.values())
            self._journal.normal(Happened.COLLECTED, f"{gone.files} files, {gone.size >> 20} MiB")
