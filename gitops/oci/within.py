"""Work that ends in time, whatever the other side does.

In: seconds, something to do that only reads. Out: its result. Rules: time limits of sockets begin anew with every byte,
so a server that sends its headers one by one is outwaited here; what is left behind changes nothing, and ends with its
socket or with the process.

    within(60, lambda: registry.digest("nginx", "1.27"), "registry.example")
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from gitops.errors import RegistryError
from gitops.oci.away import SilentError

T = TypeVar("T")


class StillAtItError(RegistryError):
    """Work that goes on, and may be done when it is asked for again."""


class Job:
    """Something that is done by a thread of its own."""

    def __init__(self, work: Callable[[], Any], name: str) -> None:
        self._work, self._done = work, dict[str, Any]()
        self._thread = threading.Thread(target=self._do, name=f"asks {name}", daemon=True)
        self._thread.start()

    def ends_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Any:
        """What came of it, when it has ended. Raises whatever it raised."""
        if "error" in self._done:
            raise self._done["error"]
        return self._done["result"]

    def _do(self) -> None:
        try:
            self._done["result"] = self._work()
        except BaseException as error:  # it is raised where it is waited for
            self._done["error"] = error


class Jobs:
    """Work that goes on when nobody waits for it any more, and is found again by its key. One for a process."""

    def __init__(self) -> None:
        self._running: dict[str, Job] = {}

    def within(self, seconds: float, key: str, work: Callable[[], T], name: str) -> T:
        """What `work` gives, now or when it is asked for again; one that was left running is only looked at.

        Raises:
            StillAtItError: it goes on. Whatever `work` raises.
        """
        job = self._running.get(key)
        if job is None:
            if seconds <= 0:
                raise StillAtItError(f"{name} waits for its turn", transient=True)
            job = self._running[key] = Job(work, name)
        elif not job.ends_within(0):
            seconds = 0
        if not job.ends_within(max(0, seconds)):
            raise StillAtItError(f"{name} is still being fetched", transient=True)
        del self._running[key]
        result: T = job.result()
        return result


def within(seconds: float, work: Callable[[], T], name: str) -> T:
    """What `work` gives. `name` is for the message.

    Raises:
        SilentError: it takes longer, which is transient. Whatever `work` raises.
    """
    job = Job(work, name)
    if not job.ends_within(seconds):
        raise SilentError(f"{name} gives no answer within {seconds:g} seconds", transient=True)
    result: T = job.result()
    return result
