"""The hardware watchdog, armed by the initrd: it resets a box whose agent makes no progress.

It is never disarmed. Feeding is a side effect of progress: between any two waits `feed` is called, which is cheap. It
feeds until the end of the step at most (`allow`), and of the trial (`until`): what goes in circles for ever is left by
a reset, and so is a release whose verdict never comes. (Kernel: Documentation/watchdog/watchdog-api.rst.)

What a reset would take with it is written down before: `guard` starts a thread that wakes up when nothing was fed for
`BARK` seconds, and says in a file what the agent is doing. Until then it writes nothing.
"""

import contextlib
import fcntl
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from toweros_agent import deadlines
from toweros_agent.host.disk import write

SET_TIMEOUT = 0xC0045706
AGAIN = 1.0
"""Seconds between two tries to open the device: one that somebody else still has is free later."""
CARD_RESET = 0x20
"""WDIOF_CARDRESET: the device says that it was it that reset the machine."""


class Watchdog:
    """`until` is a moment of the monotonic clock, or None for ever."""

    def __init__(self, device: Path, until: float | None) -> None:
        self.until, self.step_end = until, float("inf")
        self.fed, self._tried, self._handle = float("-inf"), float("-inf"), -1
        self._device = device
        if until is None or time.monotonic() < until:
            self._open()

    @property
    def armed(self) -> bool:
        return self._handle >= 0

    def allow(self, seconds: float) -> None:
        """What begins now may take so long."""
        self.step_end = time.monotonic() + seconds
        self.feed()

    def feed(self) -> None:
        now = time.monotonic()
        if now >= self.step_end or (self.until is not None and now >= self.until):
            return
        if not self.armed and not self._open():
            return
        if now - self.fed >= deadlines.FED_EVERY:
            self.fed = now
            with contextlib.suppress(OSError):
                os.write(self._handle, b"\0")

    def _open(self) -> bool:
        """Opening feeds, so it is for those who may. The kernel lets only one have it at a time."""
        if time.monotonic() - self._tried >= AGAIN:
            self._tried = time.monotonic()
            with contextlib.suppress(OSError):
                self._handle = os.open(self._device, os.O_WRONLY)
                fcntl.ioctl(self._handle, SET_TIMEOUT, struct.pack("i", int(deadlines.BITE)))
        return self.armed

    def wait(self, seconds: float) -> None:
        """Sleep, and keep it quiet meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.feed()
            time.sleep(min(left, deadlines.SLICE))

    def guard(self, record: Path, head: Callable[[], dict[str, object]]) -> threading.Thread:
        """Write `record` while a reset is near: `head()`, and what the calling thread does."""
        ident = threading.get_ident()
        guard = threading.Thread(target=self._guard, args=(record, head, ident), name="guard", daemon=True)
        guard.start()
        return guard

    def _guard(self, record: Path, head: Callable[[], dict[str, object]], ident: int) -> None:
        barked, began = False, time.monotonic()
        while True:
            hungry = time.monotonic() - max(self.fed, began) if self.armed else 0.0
            if hungry >= deadlines.BARK and not barked:
                barked = True
                words = {"time": int(time.time()), "doing": f"{stack(ident)}, not fed for {hungry:.0f} s"}
                with contextlib.suppress(OSError):
                    write(record, json.dumps({**head(), **words}).encode())
            elif hungry < deadlines.BARK and barked:
                barked = False
                with contextlib.suppress(OSError):  # an old record is better than no guard
                    record.unlink(missing_ok=True)
            time.sleep(max(deadlines.BARK - hungry, deadlines.BARK / 20))


def stack(ident: int) -> str:
    """What a thread is in: the agent's own functions from the outside in, and the line that it is at."""
    frame, calls, line = sys._current_frames().get(ident), [], ""
    while frame:
        code = frame.f_code
        if "toweros_agent" in code.co_filename:
            line = line or f"{Path(code.co_filename).name}:{frame.f_lineno}"
            calls.append(code.co_name)
        frame = frame.f_back
    return f"in {' > '.join(reversed(calls[:12]))} ({line})" if calls else "in nothing of its own"


def reset_the_machine(sys_folder: Path) -> bool:
    """Whether the watchdog's device says that it reset the machine before this boot. Not every device can tell."""
    for status in sorted((sys_folder / "class" / "watchdog").glob("*/bootstatus")):
        with contextlib.suppress(OSError, ValueError):
            if int(status.read_text()) & CARD_RESET:
                return True
    return False
