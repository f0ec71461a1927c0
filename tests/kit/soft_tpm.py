"""A TPM 2.0 in software (swtpm), as a machine has one: it keeps its seed through restarts, and can be cleared."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

from toweros_agent.tpm.asking import Tpm

CLEAR = bytes.fromhex("80020000001b00000126 4000000a 00000009 40000009 0000 00 0000")
"""TPM2_Clear by the lockout hierarchy, which has no password."""


class SocketTpm(Tpm):
    """What is a device on a machine is a socket here."""

    def opened(self) -> int:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self.device))
        return connection.detach()


class SoftTpm:
    """One that runs, with its state in `folder`."""

    def __init__(self, folder: Path, *, for_qemu: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.socket, self._qemu = folder, folder / "tpm", for_qemu
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        socket = ["--server" if not self._qemu else "--ctrl", f"type=unixio,path={self.socket}"]
        flags = [] if self._qemu else ["--flags", "not-need-init,startup-clear"]
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}", *socket, *flags]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            assert self._process.poll() is None and time.monotonic() < end, "swtpm does not start"
            if self._qemu and self.socket.exists():
                return
            with contextlib.suppress(OSError):  # the socket is there before anybody listens
                os.close(self.asked().opened())
                return
            time.sleep(0.01)

    def words(self) -> tuple[str, ...]:
        """For QEMU's command line."""
        chip = f"socket,id=chip,path={self.socket}"
        return ("-chardev", chip, "-tpmdev", "emulator,id=tpm,chardev=chip", "-device", "tpm-crb,tpmdev=tpm")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang(self, *, goes_on: bool = False) -> None:
        self._process.send_signal(signal.SIGCONT if goes_on else signal.SIGSTOP)

    def asked(self, patience: float = 20.0) -> Tpm:
        """As the agent of one boot has it."""
        return SocketTpm(self.socket, patience)

    def tell(self, command: bytes) -> bytes:
        handle = self.asked().opened()
        try:
            os.write(handle, command)
            return os.read(handle, 4096)
        finally:
            os.close(handle)

    def clear(self) -> None:
        """As by the firmware's setup: everything that hangs on its seed is lost."""
        assert struct.unpack_from(">I", self.tell(CLEAR), 6) == (0,)


@contextlib.contextmanager
def a_tpm(folder: Path, *, for_qemu: bool = False) -> Iterator[SoftTpm]:
    made = SoftTpm(folder, for_qemu=for_qemu)
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def a_liar(folder: Path, answer: Callable[[bytes], bytes], patience: float = 20.0) -> Iterator[Tpm]:
    """A TPM that answers so; nothing, when that is empty."""
    path = folder / "liar"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        Thread(target=_lie, args=(listening, answer), daemon=True).start()
        yield SocketTpm(path, patience)
        listening.shutdown(socket.SHUT_RDWR)


def _lie(listening: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            while command := connection.recv(4096):
                if said := answer(command):
                    connection.sendall(said)
