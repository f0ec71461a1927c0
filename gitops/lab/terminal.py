"""The user's terminal, joined to the serial console of a machine."""

import contextlib
import os
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator
from multiprocessing.connection import wait

from gitops.errors import VmError
from gitops.lab.machine import Machine

LEAVE = b"\x1d"
"""Ctrl-]: powers the machine off."""
PAUSE = 0.5
"""Seconds between two tries to reach a machine that resets."""
CHUNK = 4096


def attach(machine: Machine) -> None:
    """Be the terminal of the machine until it is off, or the user leaves."""
    with _raw_terminal() as keyboard:
        while machine.running:
            with contextlib.suppress(VmError), machine.console() as console:
                if not _talk(console, keyboard):
                    return
            time.sleep(PAUSE)


def _talk(console: socket.socket, keyboard: int | None) -> bool:
    """Carry bytes both ways until the console closes (True) or the user leaves (False)."""
    sources: list[socket.socket | int] = [console] if keyboard is None else [console, keyboard]
    while True:
        ready = wait(sources)
        if console in ready:
            data = console.recv(CHUNK)
            if not data:
                return True
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        if keyboard in ready and keyboard is not None:
            typed = os.read(keyboard, CHUNK)
            if LEAVE in typed or not typed:
                return False
            console.sendall(typed)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[int | None]:
    """The keyboard, every key at once; None when there is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
