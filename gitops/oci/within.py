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

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], name: str) -> T:
    """What `work` gives. `name` is for the message.

    Raises:
        RegistryError: it takes longer, which is transient. Whatever `work` raises.
    """
    done: dict[str, Any] = {}

    def do() -> None:
        try:
            done["result"] = work()
        except BaseException as error:  # it is raised where it is waited for
            done["error"] = error

    thread = threading.Thread(target=do, name=f"asks {name}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise RegistryError(f"{name} gives no answer within {seconds:g} seconds", transient=True)
    if "error" in done:
        raise done["error"]
    result: T = done["result"]
    return result
