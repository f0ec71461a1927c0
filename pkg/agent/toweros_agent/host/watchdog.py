"""The hardware watchdog, armed by the initrd: it resets a box whose agent makes no progress.

It is never disarmed. Feeding is a side effect of progress: the loop and every chunk of a download call `feed`, which is
cheap. During a trial it stops at a deadline, so that a release whose verdict never comes is left by a reset.
(Kernel: Documentation/watchdog/watchdog-api.rst.)
"""

import contextlib
import fcntl
import os
import struct
import time
from pathlib import Path

SECONDS = 60
EVERY = 10.0
SET_TIMEOUT = 0xC0045706


class Watchdog:
    """`until` is a moment of the monotonic clock, or None for ever."""

    def __init__(self, device: Path, until: float | None) -> None:
        self.until, self._fed, self._handle = until, 0.0, -1
        # Opening feeds: past the deadline not even that.
        if until is None or time.monotonic() < until:
            with contextlib.suppress(OSError):
                self._handle = os.open(device, os.O_WRONLY)
                fcntl.ioctl(self._handle, SET_TIMEOUT, struct.pack("i", SECONDS))

    @property
    def armed(self) -> bool:
        return self._handle >= 0

    def feed(self) -> None:
        now = time.monotonic()
        if self.armed and now - self._fed >= EVERY and (self.until is None or now < self.until):
            self._fed = now
            with contextlib.suppress(OSError):
                os.write(self._handle, b"\0")
