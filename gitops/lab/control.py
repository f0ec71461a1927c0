"""The sockets of one QEMU process: commands and events by QMP (qemu's docs/interop/qmp-spec), and the console's bytes.

In: the machine's folder, the process. Out: answers. Rules: a QEMU that has just started gets a moment to open them; one
that is gone is `off`, an error; whoever watches the events does not take the place of who gives commands.

    control = Control(folder, process)
    control.command("system_reset")
    control.shutdown_reason()
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from gitops.errors import VmError
from gitops.lab.hardware import COMMANDS, CONSOLE, EVENTS
from gitops.model import Json
from gitops.process import Background

TIMEOUT = 5.0
"""Seconds for an answer, and for a socket to appear."""
POLL = 0.2


class Stream(Protocol):
    """What of a socket's file QMP needs."""

    def readline(self) -> bytes: ...
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class Control:
    """Everything that is asked of one QEMU process."""

    def __init__(self, folder: Path, process: Background) -> None:
        self._folder, self._process = folder, process

    def command(self, name: str, **arguments: object) -> Json:
        """One command and its answer.

        Raises:
            VmError: the machine says no, or is gone.
        """
        with self._session(COMMANDS, TIMEOUT) as stream:
            return _ask(stream, name, arguments)

    def shutdown_reason(self) -> str:
        """Wait until QEMU ends; why it did (qapi/run-state.json, ShutdownCause), empty when it did not say."""
        reason = ""
        with contextlib.suppress(OSError, VmError), self._session(EVENTS, None) as stream:
            while line := stream.readline():
                message = json.loads(line)
                if message.get("event") == "SHUTDOWN":
                    reason = message["data"]["reason"]
        while self._process.running:
            time.sleep(POLL)
        return reason

    def console(self) -> socket.socket:
        """A connection to the serial console, for an attachable machine. It ends with every reset.

        Raises:
            VmError: the machine is off.
        """
        return self._connect(CONSOLE)

    @contextlib.contextmanager
    def _session(self, name: str, timeout: float | None) -> Iterator[Stream]:
        """A QMP connection, ready for commands."""
        with self._connect(name) as connection, connection.makefile("rwb") as stream:
            connection.settimeout(timeout)
            _answer(stream.readline())
            _ask(stream, "qmp_capabilities", {})
            yield stream

    def _connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        with _opened(self._folder) as near:
            for _ in range(int(TIMEOUT / POLL)):
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                    connection.connect(f"{near}/{name}")
                    return connection
                if not self._process.running:
                    break
                time.sleep(POLL)
        connection.close()
        raise VmError(f"{self._folder.name} is off")


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[str]:
    """A short name for a folder: the path of a socket may have 108 bytes, and a folder's may be longer."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _ask(stream: Stream, command: str, arguments: Mapping[str, object]) -> Json:
    stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    stream.flush()
    answer = _answer(stream.readline())
    while "event" in answer:
        answer = _answer(stream.readline())
    return answer


def _answer(line: bytes) -> Json:
    if not line:
        raise VmError("the machine closed its control socket")
    answer: Json = json.loads(line)
    if "error" in answer:
        raise VmError(f"the machine says: {answer['error'].get('desc', answer['error'])}")
    return answer
