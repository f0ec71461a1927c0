"""What the feeds say, as a run of updates asks for it (`gitops.security.schedule.knowledge`).

In: the feeds, a clock. Out: findings of components out of locks. Rules: what is late, or was never read, is not known.

    Updates(settings, store, builder, Known(Advisories(store, settings.feeds)))
"""

import time
from collections.abc import Callable, Iterable

from gitops.model import Component, Ecosystem, Finding, Inventory, Scope
from gitops.security.distribution import distribution_of
from gitops.security.matching import Knowledge, expose, keys, scope_of
from gitops.workflows.security.advisories import Advisories


class Known:
    """The feeds of a store. `clock` gives Unix seconds."""

    def __init__(self, advisories: Advisories, clock: Callable[[], float] = time.time) -> None:
        self._advisories, self._clock, self._distribution = advisories, clock, ""

    @property
    def known(self) -> bool:
        """Whether feeds were read, none is late, and one speaks of the distribution that was asked about last."""
        found = self._advisories.knowledge((), int(self._clock()))
        return not found.gaps and Scope(Ecosystem.debian, self._distribution) in found.covered

    @property
    def stamp(self) -> str:
        """Changes when what is known does."""
        return repr(self._advisories.marks(int(self._clock())))

    def findings(self, components: Iterable[Component]) -> tuple[Finding, ...]:
        """What is wrong with them."""
        inventory, known = self._asked(components)
        return expose(inventory, known).findings

    def unsure(self, components: Iterable[Component]) -> frozenset[str]:
        """Names of those of which something may be wrong that nobody knows: no feed speaks of whose they are, one that
        does is late, or their version has no order."""
        inventory, known = self._asked(components)
        odd = {gap.about for gap in expose(inventory, known).gaps}
        return frozenset(
            each.name
            for each in inventory.components
            if f"{each.source} {each.source_version}" in odd or not _covered(scope_of(each, inventory), known)
        )

    def _asked(self, components: Iterable[Component]) -> tuple[Inventory, Knowledge]:
        locked = tuple(sorted(set(components)))
        self._distribution = distribution_of(locked)
        inventory = Inventory(locked, (), self._distribution)
        return inventory, self._advisories.knowledge(keys(inventory), int(self._clock()))


def _covered(scope: Scope, known: Knowledge) -> bool:
    return scope in known.covered and not known.gaps.get(scope) and not known.gaps.get(None)
