"""What the feeds say, kept in the store; asked again when that is due.

In: the settings' feeds, a store. Out: `Knowledge` of the sources that are asked for. Rules: a feed that fails is told
once, and goes on counting as what it said; without any feed nothing is known.

    advisories = Advisories(store, settings.feeds)
    advisories.refresh(now)
    advisories.knowledge(keys(inventory), now)
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from gitops.errors import DocumentError, StoreError
from gitops.model import Advisory, Ecosystem, EventType, Gap, Happened, Scope
from gitops.security.feeds.index import find
from gitops.security.feeds.refresh import due, late, refreshed
from gitops.security.matching import Key, Knowledge
from gitops.settings import Feed
from gitops.store import Store
from gitops.store.files.layout import Scratch
from gitops.store.notes.documents import FeedState

log = structlog.get_logger(__name__)

NONE = Gap("advisories", "no feed is set: `feeds` in toweros.toml")


class Advisories:
    """The feeds of one store."""

    def __init__(self, store: Store, feeds: Iterable[Feed]) -> None:
        self._store, self.feeds = store, tuple(feeds)

    def state(self, feed: Feed) -> FeedState:
        """A feed as it was last seen."""
        return self._store.notes.get(FeedState, feed.name) or FeedState()

    def refresh(self, now: int) -> None:
        """Ask those feeds again for which it is time.

        Raises:
            StoreError, OSError: what they say cannot be kept.
        """
        for feed in self.feeds:
            state = self.state(feed)
            lost = self._lost(state) and not state.error
            if lost or due(feed, state, now):
                self._refresh(feed, state, now)

    def _lost(self, state: FeedState) -> bool:
        return state.index is not None and not self._store.blobs.has(state.index.sha256)

    def _refresh(self, feed: Feed, before: FeedState, now: int) -> None:
        whole = replace(before, index=None) if self._lost(before) else before
        with self._store.paths.scratch(Scratch.feed) as scratch:
            state, data = refreshed(feed, whole, Path(scratch), now)
        # What is lost stays named while it cannot be had again: nothing is known until then.
        state = replace(state, index=before.index if data is None else self._store.blobs.put(data))
        self._store.notes.put(state, feed.name)
        if state.error and state.error != before.error:
            log.warning("feed.failed", feed=feed.name, error=state.error)
            self._store.events.add("", EventType.WARNING, Happened.FEED, f"{feed.name}: {state.error}; {state.hint}")
        elif before.error and not state.error:
            self._store.events.add("", EventType.NORMAL, Happened.FEED, f"{feed.name} can be read again")
        log.info("feed.read", feed=feed.name, advisories=sum(state.counts.values()), changed=data is not None)

    def knowledge(self, keys: Collection[Key], now: int) -> Knowledge:
        """What is known of some sources, and what is not."""
        found: dict[Key, list[Advisory]] = defaultdict(list)
        covered: set[Scope] = set()
        gaps: dict[Scope | None, list[Gap]] = defaultdict(list)
        for feed in self.feeds:
            state = self.state(feed)
            scopes = [_scope(name) for name in state.counts]
            covered.update(scopes)
            for key, advisories in self._said(state, keys).items():
                found[key] += advisories
            for gap in self._gaps(feed, state, now):
                for scope in scopes or (None,):
                    gaps[scope].append(gap)
        if not self.feeds:
            gaps[None].append(NONE)
        said = {key: tuple(rows) for key, rows in found.items()}
        return Knowledge(said, frozenset(covered), {scope: tuple(rows) for scope, rows in gaps.items()})

    def marks(self, now: int) -> tuple[object, ...]:
        """Another value means that something else may be known."""
        states = [(feed.name, self.state(feed)) for feed in self.feeds]
        return tuple(
            (name, state.index, late(feed, state, now)) for feed, (name, state) in zip(self.feeds, states, strict=True)
        )

    def _gaps(self, feed: Feed, state: FeedState, now: int) -> list[Gap]:
        gaps = [late(feed, state, now)]
        if self._lost(state):
            gaps.append(Gap(f"feed {feed.name}", "its index is lost; it is read again"))
        if state.unread:
            gaps.append(
                Gap(f"feed {feed.name}", f"{len(state.unread)} entries cannot be read, such as {state.unread[0]}")
            )
        return [gap for gap in gaps if gap is not None]

    def _said(self, state: FeedState, keys: Collection[Key]) -> dict[Key, tuple[Advisory, ...]]:
        if state.index is None or self._lost(state):
            return {}
        try:
            return find(self._store.blobs.read(state.index.sha256), keys)
        except (StoreError, DocumentError) as error:
            log.warning("feed.index_damaged", error=error.message)
            self._store.blobs.remove(state.index.sha256)  # then it is lost, and read again
            return {}


def _scope(name: str) -> Scope:
    ecosystem, _, distribution = name.partition("/")
    return Scope(Ecosystem(ecosystem), distribution)
