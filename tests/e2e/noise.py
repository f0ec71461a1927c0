"""Somebody, or something, types on the serial line while a box starts.

No Escape and no DEL: these open the firmware's own setup, which its owner alone can lock (docs/machines.md).
"""

import contextlib
import random
import threading
from collections.abc import Iterator

from gitops.errors import VmError
from gitops.lab.machine import Machine

KEYS = b"abcehdnpqwyz 0123~+-\r\xff\x80"
PAUSE = 0.05
"""Seconds between two keys."""


@contextlib.contextmanager
def noise_on(machine: Machine, until: str) -> Iterator[None]:
    """Type on the console of an attachable machine until it has said `until`, over every reset."""
    stop = threading.Event()
    thread = threading.Thread(target=_type, args=(machine, until, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _type(machine: Machine, until: str, stop: threading.Event) -> None:
    chance = random.Random(6)
    while not stop.wait(PAUSE):
        with contextlib.suppress(OSError, VmError), machine.console() as console:
            console.settimeout(PAUSE)
            while until not in machine.output() and not stop.wait(PAUSE):
                with contextlib.suppress(TimeoutError):
                    console.sendall(bytes([chance.choice(KEYS)]))
                    console.recv(1 << 16)
        if until in machine.output():
            return
