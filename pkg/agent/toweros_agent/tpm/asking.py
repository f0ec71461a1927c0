"""Asks the TPM, for as long as the watchdog has patience: the device is opened here, `chip.py` says the words.

In: /dev/tpm0, which has the same number on every machine and lets one in at a time. Out: what was sealed or opened.
Rules: all questions of a boot have `PATIENCE` together, as nobody feeds the watchdog meanwhile; who asks a TPM that
does not answer is left behind, since the kernel does not let go of it for minutes.

    tpm = Tpm(Path("/dev/tpm0"))
    tpm.open(tpm.seal(secret)) == secret
"""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

from toweros_agent.tpm import chip

PATIENCE = 20.0
"""Seconds. The slowest chips take two for each key that they make."""
ABSENT = (errno.ENOENT, errno.ENXIO, errno.ENODEV)
"""There is no such file, or nothing behind it: the agent's container always has the file."""


class NoTpmError(Exception):
    """There is none."""


class TpmError(Exception):
    """It does not work today."""


class ClosedError(Exception):
    """It is not this TPM's, or damaged."""


class Tpm:
    """The TPM of this machine."""

    def __init__(self, device: Path, patience: float = PATIENCE) -> None:
        self.device, self._left = device, patience

    def seal(self, secret: bytes) -> bytes:
        """Raises `NoTpmError`, `TpmError`."""
        return self._ask("seal", secret)

    def open(self, sealed: bytes) -> bytes:
        """Raises `NoTpmError`, `TpmError`, `ClosedError`."""
        return self._ask("open", sealed)

    def who(self, policy: bytes) -> bytes:
        """Two public areas (chip.py). Raises `NoTpmError`, `TpmError`."""
        return self._ask("who", policy)

    def prove(self, policy: bytes, credential: bytes) -> bytes:
        """The secret in a credential. Raises `NoTpmError`, `TpmError`."""
        return self._ask("prove", policy + credential)

    def clear(self) -> None:
        """Another seed: nothing that was sealed opens any more. Raises `NoTpmError`, `TpmError`."""
        self._ask("clear", b"")

    def opened(self) -> int:
        """The device. Raises `OSError`."""
        return os.open(self.device, os.O_RDWR | os.O_CLOEXEC)

    def _ask(self, verb: str, data: bytes) -> bytes:
        if self._left <= 0:
            raise TpmError("the TPM did not answer in time")
        began = time.monotonic()
        process = self._start(verb)
        try:
            made, words = process.communicate(data, self._left)
        except subprocess.TimeoutExpired as error:
            process.kill()  # and no wait: it may not die for minutes
            self._left = 0.0
            raise TpmError("the TPM did not answer in time") from error
        self._left -= time.monotonic() - began
        said = words.decode(errors="replace").strip()
        if process.returncode == chip.CLOSED:
            raise ClosedError(said)
        if process.returncode:
            raise TpmError(said or f"whoever asked the TPM ended with {process.returncode}")
        return made

    def _start(self, verb: str) -> "subprocess.Popen[bytes]":
        device = -1
        try:
            device = self.opened()
            command = [sys.executable, "-I", "-S", chip.__file__, str(device), verb]
            pipe = subprocess.PIPE
            return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=[device])
        except OSError as error:
            raise NoTpmError if device < 0 and error.errno in ABSENT else TpmError(f"the TPM: {error}") from error
        finally:
            if device >= 0:
                os.close(device)
