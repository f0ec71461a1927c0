"""What boxes run and are asked to run, as layers at their places.

In: the store. Out: `Demand`s for `choosing`. Rules: boxes with the same two contents are one demand, of which one
release is read: that must have the content that it is said to have. What was read is kept (`KEPT` contents); at most
`READS` are read in one look, of those with most boxes first: the others come with the next looks. Who is silent counts
like all others: it is the one that comes back to an old release.

    Demands(store).look()
"""

from collections import Counter
from collections.abc import Iterable

from gitops.errors import TowerosError
from gitops.model import BoxState, Release
from gitops.publish.deltas.choosing import Demand, Shape
from gitops.store import LeaseError, Store

READS = 400
KEPT = 20_000
TRIES = 2
"""Releases that are read for one content: the first may be damaged, or a lie."""


class Demands:
    """Of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shapes: dict[str, Shape] = {}
        self._texts: dict[str, str] = {}

    def look(self) -> list[Demand]:
        """Raises StoreError."""
        boxes, releases = Counter[tuple[str, str]](), dict[str, dict[str, None]]()
        for state in self._store.states.all():
            for running, wanted in _ways(state):
                boxes[running, wanted] += 1
            for version in (state.running, state.published, state.candidate):
                if version.release and len(known := releases.setdefault(version.content, {})) < TRIES:
                    known[version.release] = None
        reads, found = READS, list[Demand]()
        for (running, wanted), count in sorted(boxes.items(), key=lambda row: (-row[1], row[0])):
            for content in (running, wanted):
                if content not in self._shapes and reads > 0:
                    reads -= 1
                    self._read(content, releases.get(content, {}))
            if self._shapes.get(running) and self._shapes.get(wanted):
                found.append(Demand(count, self._shapes[running], self._shapes[wanted]))
        self._forget(releases.keys())
        return found

    def _read(self, content: str, releases: Iterable[str]) -> None:
        """An empty shape: nothing that is known has this content."""
        self._shapes[content] = {}
        for digest in releases:
            try:
                release = self._store.release(digest)
            except LeaseError:
                raise
            except TowerosError:
                continue
            if release.content.digest == content:
                self._shapes[content] = self._shape(release)
                return

    def _shape(self, release: Release) -> Shape:
        """Roots are kept once, however many releases have them."""
        places = {"": release.content.root} | {each.path: each.layers for each in release.content.containers}
        return {
            self._texts.setdefault(place, place): tuple(self._texts.setdefault(each.root, each.root) for each in layers)
            for place, layers in places.items()
        }

    def _forget(self, contents: Iterable[str]) -> None:
        """What nobody runs or is asked to run, and what could not be read: it may be, next time."""
        known = {*contents}
        self._shapes = {name: shape for name, shape in self._shapes.items() if shape and name in known}
        if len(self._shapes) > KEPT:
            self._shapes = dict([*self._shapes.items()][-KEPT:])
        there = {word for shape in self._shapes.values() for place, roots in shape.items() for word in (place, *roots)}
        self._texts = {word: kept for word, kept in self._texts.items() if word in there}


def _ways(state: BoxState) -> set[tuple[str, str]]:
    """From which content to which a box would go: to what it is offered, and to what waits for its turn."""
    here = state.running.content
    if not state.received or state.revoked or state.damaged or not here:
        return set()
    wanted = {each.content for each in (state.published, state.candidate) if each.release}
    return {(here, each) for each in wanted if each != here and each not in state.failed}
