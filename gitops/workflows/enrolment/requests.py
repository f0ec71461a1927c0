"""Requests to be let in: anybody can send them, so what is kept of them is bounded: rules alone.

In: what is kept for a box, a key that proved itself, the time. Out: what is to be kept; None: nothing is to be written.
Rules: a box has at most `MOST`; who came first stays, as long as it comes again within `FORGET`; a request that is
repeated is written at most every `AGAIN`. So a stranger costs `MOST` rows for a name that we know, and no name is made.
"""

from dataclasses import replace

from gitops.store.notes.box_keys import Asking

MOST = 4
FORGET = 86400
"""Seconds after which a key that is not heard of any more is no request."""
AGAIN = 600


def living(asking: tuple[Asking, ...], now: int) -> tuple[Asking, ...]:
    """Those that are still meant. A clock that was ahead when they came keeps none for longer."""
    return tuple(each for each in asking if abs(now - each.last) < FORGET)


def with_request(asking: tuple[Asking, ...], key: str, now: int) -> tuple[Asking, ...] | None:
    """What is to be kept after `key` asked; None: what is there."""
    alive = living(asking, now)
    known = next((each for each in alive if each.key == key), None)
    if known is None:
        return (*alive, Asking(key, now, now)) if len(alive) < MOST else None
    if abs(now - known.last) < AGAIN:
        return None
    return tuple(replace(each, last=now) if each is known else each for each in alive)
