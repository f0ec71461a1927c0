"""A feed is looked at again: what it says now, or why it is not believed and what was known before stays.

In: a feed's setting, its last state, the time. Out: its next state, and the index to keep. Rules:

- what is broken, huge, slow, older than what we have, or suddenly says far less, is not believed;
- a feed that failed is tried again soon; what it said before goes on counting, and its age is told;
- how late a feed is, is counted from when its own data were written, where it says so.

    state, data = refreshed(feed, state, scratch, now)
    late(feed, state, now)              # a Gap, or None
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gitops.errors import DocumentError
from gitops.model import Advisory, Gap, Scope
from gitops.security.feeds.entries import Unread
from gitops.security.feeds.fetch import Marks, fetch
from gitops.security.feeds.index import build
from gitops.security.feeds.reading import entries
from gitops.settings import Feed
from gitops.store.notes.documents import FeedState

AGAIN = 600
"""Seconds after which a feed that failed is asked again."""
LEAST = 0.5
"""The part of a scope's advisories that must still be there: lists like these grow."""
MOST_UNREAD = 0.01
"""The part of a feed's entries that may be unreadable."""
DAY = 24 * 3600


def due(feed: Feed, state: FeedState, now: int) -> bool:
    """Whether to look at it again. A clock that was set back is no reason to wait for years."""
    pause = AGAIN if state.error else feed.every
    return state.place != feed.place or not 0 <= now - state.looked < pause


def refreshed(feed: Feed, state: FeedState, scratch: Path, now: int) -> tuple[FeedState, bytes | None]:
    """The next state, and a new index if there is one. `scratch` is a folder for what is fetched.

    Raises:
        OSError: the disk does not take what is fetched.
    """
    if state.place != feed.place:
        state = FeedState(place=feed.place)
    try:
        marks = Marks(state.etag, state.changed, state.written) if state.index else Marks()
        place, found = fetch(scratch / "feed", feed.place, marks)
        if place is None:
            return replace(state, looked=now, confirmed=now, error="", hint="", failing=0), None
        written = min(found.modified, now)
        if state.index and state.written and not written:
            raise DocumentError("it no longer says when it was written", hint="is a mirror behind?")
        if written and state.index and written < state.written:
            raise DocumentError("it is older than what it said before", hint="is a mirror behind?")
        data, counts, unread = _read(place)
        _not_less(state.counts, counts)
    except DocumentError as error:
        failing = state.failing or now
        return replace(state, looked=now, error=error.message, hint=error.hint, failing=failing), None
    made = FeedState(feed.place, found.etag, found.changed, written, now, now, None, counts, unread)
    return made, data


def late(feed: Feed, state: FeedState, now: int) -> Gap | None:
    """Why the feed's word does not count as knowledge now."""
    about = f"feed {feed.name}"
    if state.place != feed.place or not state.confirmed:
        return Gap(about, state.error or "it was not read yet")
    if now - state.age_from > feed.stale_days * DAY:
        return Gap(about, state.error or "it says nothing new", state.age_from)
    return None


def _read(place: Path) -> tuple[bytes, Mapping[str, int], tuple[str, ...]]:
    unread: list[Unread] = []

    def good() -> Iterator[Advisory]:
        for each in entries(place):
            if isinstance(each, Unread):
                unread.append(each)
            else:
                yield each

    data, found = build(good())
    total = sum(found.values())
    if not total:
        raise DocumentError("it says nothing about anything that we know", hint="is the place right?")
    if len(unread) > MOST_UNREAD * (total + len(unread)):
        worst = unread[0]
        message = f"{len(unread)} of its entries cannot be read, such as {worst.name}: {worst.why}"
        raise DocumentError(message, hint="has its format changed?")
    return (
        data,
        {_name(scope): number for scope, number in found.items()},
        tuple(f"{each.name}: {each.why}" for each in unread),
    )


def _not_less(before: Mapping[str, int], now: Mapping[str, int]) -> None:
    for name, number in before.items():
        if now.get(name, 0) < LEAST * number:
            message = f"it suddenly says {now.get(name, 0)} advisories of {name}, and said {number}"
            raise DocumentError(message, hint="if that is right, give the feed another name in the settings")


def _name(scope: Scope) -> str:
    return f"{scope.ecosystem}/{scope.distribution}"
