"""Slow work beside the loop: while mirrors or a remote take their time, what must not wait is done all the same.

In: the work, and what is to be done every few seconds. Out: what the work returns, or raises. Rules: the work runs in a
thread of its own and touches no row of the store; when `between` raises (another controller has taken over), nobody
waits for it: what it still fetches is named by its digest, or is apt's own.

    locks = listening(relocker.newest, offer.hold_at_once)
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")
EVERY = 5.0
"""Seconds between two looks at what must not wait."""


def listening(work: Callable[[], T], between: Callable[[], None], every: float = EVERY) -> T:
    """Do the work; `between` is called before, and every so many seconds until it is done."""
    between()
    done: Future[T] = Future()

    def go() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # whatever it is, the caller gets it
            done.set_exception(error)

    threading.Thread(target=go, name="updates", daemon=True).start()
    while not wait([done], every).done:
        between()
    return done.result()
