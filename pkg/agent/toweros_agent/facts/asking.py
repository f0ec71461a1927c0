"""Facts that may never come: a sensor on a dead bus holds whoever reads it, and no signal ends that.

In: what reads a fact. Out: what it found, or None. Rules: each fact has a thread of its own; all that are asked
together end after `deadlines.FACTS`; while a thread of before still reads, that fact is not asked again, so that there
is never more than one of it; one that raises says nothing.

    asking = Asking({"memory": read_memory})
    asking()            # {"memory": {...}}; what hangs is missing
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from toweros_agent import deadlines
from toweros_agent.nouns import Json

Read = Callable[[], Any]


class Asking:
    """Asks several at once."""

    def __init__(self, facts: Mapping[str, Read]) -> None:
        self._facts, self._busy = facts, dict[str, threading.Thread]()

    def __call__(self) -> Json:
        found: Json = {}
        end = time.monotonic() + deadlines.FACTS
        started = [self._ask(name, found) for name in self._facts if not self._hangs(name)]
        for thread in started:
            thread.join(max(end - time.monotonic(), 0))
        return {name: value for name, value in list(found.items()) if value is not None and value != {}}

    def _hangs(self, name: str) -> bool:
        thread = self._busy.get(name)
        return thread is not None and thread.is_alive()

    def _ask(self, name: str, found: Json) -> threading.Thread:
        def read() -> None:
            try:
                found[name] = self._facts[name]()
            except Exception:  # whatever a driver says: it is no fact
                found.pop(name, None)

        thread = self._busy[name] = threading.Thread(target=read, name=f"fact {name}", daemon=True)
        thread.start()
        return thread
