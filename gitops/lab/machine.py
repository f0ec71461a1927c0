"""A box in QEMU: on, off, reset, and what it wrote to its serial console.

In: a folder, the hardware. Out: a running machine. Rules: everything it writes is in its own folder; it is ended over
QMP, or by its own process id. Every reset is a new QEMU process: in one and the same, emulated firmware was seen to
hang in its timer after the second reset.

    machine = Machine(folder, Hardware(disk, variables, ports={2222: 22}))
    with machine:
        machine.wait_for(r"login:", timeout=120)
"""

import contextlib
import re
import socket
import threading
import time
from pathlib import Path
from typing import Self

import structlog

from gitops.errors import VmError
from gitops.lab.control import Control
from gitops.lab.hardware import COMMANDS, CONSOLE, EVENTS, SERIAL_LOG, Hardware
from gitops.process import Background, start

log = structlog.get_logger(__name__)

POLL = 0.2
"""Seconds between two looks at the serial log."""
GRACE = 5.0
"""Seconds that QEMU gets to end by itself."""
RESETS = ("guest-reset", "host-qmp-system-reset", "guest-panic")
"""Why QEMU ends when the machine is only to start again (qapi/run-state.json, ShutdownCause)."""
LAST_LINES = 3


class Machine:
    """One box and its power switch."""

    def __init__(self, folder: Path, hardware: Hardware) -> None:
        self.folder, self.hardware = folder, hardware
        self._process: Background | None = None
        self._on = False

    # --- power ------------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._on

    def start(self) -> Self:
        """Power on."""
        if self.running:
            raise VmError(f"{self.folder.name} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._on = True
        self._launch()
        return self

    def stop(self, grace: float = GRACE) -> None:
        """Power off, without asking the box."""
        self._on = False
        if not self._process:
            return
        with contextlib.suppress(OSError, VmError):
            self.control.command("quit")
            deadline = time.monotonic() + grace
            while self._process.running and time.monotonic() < deadline:
                time.sleep(POLL)
        self._process.stop(grace)

    def power_cut(self) -> None:
        """End it in the middle of whatever it does."""
        self._on = False
        if self._process:
            self._process.kill()

    def reset(self) -> None:
        """Press the reset button."""
        self.control.command("system_reset")

    def wait_off(self, timeout: float) -> None:
        """Wait until the box powers itself off."""
        deadline = time.monotonic() + timeout
        while self.running:
            if time.monotonic() > deadline:
                raise VmError(f"{self.folder.name} is still on after {timeout:.0f} s", hint=f"see {self.serial}")
            time.sleep(POLL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- what it says -----------------------------------------------------------------------------------------------

    @property
    def serial(self) -> Path:
        """What the box wrote to its serial console."""
        return self.folder / SERIAL_LOG

    def output(self) -> str:
        """All of it so far."""
        return self.serial.read_text(errors="replace") if self.serial.exists() else ""

    def wait_for(self, pattern: str, timeout: float, *, after: int = 0) -> re.Match[str]:
        """Wait until the serial console matches, from character `after` on.

        Raises:
            VmError: the time is over, or the machine ended; the last lines are in the message.
        """
        deadline = time.monotonic() + timeout
        while True:
            alive = self.running
            text = self.output()
            if match := re.compile(pattern, re.MULTILINE).search(text, after):
                return match
            if not alive or time.monotonic() > deadline:
                why = f"not seen within {timeout:.0f} s" if alive else "not seen before the machine ended"
                last = "\n".join(text[after:].splitlines()[-20:])
                raise VmError(f"{pattern!r} {why}; the console ends with\n{last}", hint=f"see {self.serial}")
            time.sleep(POLL)

    def console(self) -> socket.socket:
        """A connection to the serial console of an attachable machine.

        Raises:
            VmError: the machine is off.
        """
        return self.control.console()

    @property
    def trouble(self) -> str:
        """QEMU's own last words, when it ended because something is wrong; empty else."""
        if self._process is None or self._process.running or not self._process.code:
            return ""
        return "\n".join(self._process.log_file.read_text(errors="replace").splitlines()[-LAST_LINES:])

    # --- the process behind it --------------------------------------------------------------------------------------

    @property
    def control(self) -> Control:
        """For what only QEMU itself can do to it.

        Raises:
            VmError: the machine is off.
        """
        if self._process is None:
            raise VmError(f"{self.folder.name} is off")
        return Control(self.folder, self._process)

    def _launch(self) -> None:
        for name in (COMMANDS, EVENTS, CONSOLE):
            (self.folder / name).unlink(missing_ok=True)
        command = self.hardware.command(self.folder.name)
        self._process = start(command, log_file=self.folder / "qemu.log", cwd=self.folder)
        log.info("vm.start", folder=str(self.folder), pid=self._process.pid)
        threading.Thread(target=self._watch, args=(self.control,), daemon=True).start()

    def _watch(self, control: Control) -> None:
        """Until this process ends; then start the next when it was a reset."""
        reason = control.shutdown_reason()
        if self._on and reason in RESETS:
            self._launch()
        else:
            self._on = False
