"""The only place that starts a process.

In: a program and its arguments (never a shell line), input bytes, a working folder, a time limit in seconds.
Out: what it printed. Rules: no shell; no terminal; the environment is ours, not the caller's; what the user did not
ask for goes to the log; a failure carries the last lines of stderr; a program that runs out of time is ended with
everything it started.

    output = run(["sgdisk", "--print", str(disk)])
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from gitops.errors import ProcessError

log = structlog.get_logger(__name__)

LAST_LINES = 20
DEFAULT_TIMEOUT = 600.0
"""Seconds. Nothing that we start may hang the controller for ever."""

ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "http_proxy", "https_proxy", "no_proxy")
"""What a child inherits: secrets that came in by the environment stay with us."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: a fixed part of ours, a fixed locale and time zone, and `extra`."""
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(extra or {})}


def run(
    command: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    hint: str = "",
) -> bytes:
    """Run a program to its end and return its stdout.

    Raises:
        ProcessError: it is not installed, exits with another code than 0, or takes longer than `timeout` seconds.
    """
    words = [str(word) for word in command]
    log.debug("process.start", command=words)
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment(env),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ProcessError(f"{words[0]} is not installed", hint=hint or "run `make install`") from error
    try:
        output, talk = child.communicate(stdin, timeout)
    except subprocess.TimeoutExpired as error:
        _end(child)
        raise ProcessError(f"{words[0]} took longer than {timeout:.0f} s and was ended", hint=hint) from error
    except BaseException:
        _end(child)
        raise
    if child.returncode != 0:
        raise ProcessError(f"{words[0]} failed ({child.returncode}):\n{_last_lines(talk or output)}", hint=hint)
    return output


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a child and everything that it started: they share its session, and so its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _last_lines(talk: bytes) -> str:
    return "\n".join(talk.decode(errors="replace").strip().splitlines()[-LAST_LINES:])
