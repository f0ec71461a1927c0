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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn, Self

import structlog

from gitops.errors import ProcessError

log = structlog.get_logger(__name__)

LAST_LINES = 20
MAX_TALK = 64 << 10
"""Bytes of what a filter says on stderr."""
DEFAULT_TIMEOUT = 600.0
"""Seconds. Nothing that we start may hang the controller for ever."""

ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "http_proxy", "https_proxy", "no_proxy")
"""What a child inherits: secrets that came in by the environment stay with us."""
GIT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.bareRepository",
    "GIT_CONFIG_VALUE_0": "explicit",
}
"""For `git`, whoever starts it: a commit is what it says, and a repository that came as files of another is none: its
configuration names programs, which `git status` runs (git-config(1), `core.fsmonitor`)."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: a fixed part of ours, a fixed locale and time zone, and `extra`."""
    inherited = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {**inherited, "LC_ALL": "C.UTF-8", "TZ": "UTC", **GIT, **(extra or {})}


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
    child = _begin(words, subprocess.PIPE, hint, cwd, env)
    try:
        output, talk = child.communicate(stdin, timeout)
    except subprocess.TimeoutExpired as error:
        _end(child)
        raise ProcessError(f"{words[0]} took longer than {timeout:.0f} s and was ended", hint=hint) from error
    # Ctrl-C as well: nobody else would end it.
    except BaseException:
        _end(child)
        raise
    if child.returncode != 0:
        message = f"{words[0]} failed ({child.returncode}):\n{_last_lines(talk or output)}"
        code = child.returncode if child.returncode > 0 else None  # below zero: the signal that killed it
        raise ProcessError(message, hint=hint, log=(output + talk).decode(errors="replace"), code=code)
    return output


@contextlib.contextmanager
def piped(command: Sequence[str | Path], source: IO[bytes], hint: str = "") -> Iterator[IO[bytes]]:
    """What a filter makes of an open file, as a stream; whoever reads no further ends it.

    Raises:
        ProcessError: it is not installed; or it was read to its end, and its exit code is not 0.
    """
    words = [str(word) for word in command]
    child, read = _begin(words, source, hint), False
    assert child.stdout
    assert child.stderr
    try:
        yield child.stdout
        read = not child.stdout.read(1)
        talk = child.stderr.read(MAX_TALK) if read else b""
    finally:
        if not read:
            _end(child)
        child.stdout.close()
        child.stderr.close()
    if read and child.wait() != 0:
        raise ProcessError(f"{words[0]} failed ({child.returncode}):\n{_last_lines(talk)}", hint=hint)


def _begin(
    words: list[str], stdin: int | IO[bytes], hint: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    log.debug("process.start", command=words)
    with _installed(words[0], hint):
        return _child(words, (stdin, subprocess.PIPE, subprocess.PIPE), cwd, env)


def _child(
    words: list[str], streams: tuple[int | IO[bytes], ...], cwd: Path | None, env: Mapping[str, str] | None
) -> "subprocess.Popen[bytes]":
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        words, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=environment(env), start_new_session=True
    )


@contextlib.contextmanager
def _installed(program: str, hint: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        hint = hint or "`toweros doctor` names what is missing, and its package"
        raise ProcessError(f"{program} is not installed", hint=hint) from error


def become(command: Sequence[str | Path]) -> NoReturn:
    """Replace this process: for a program that talks with the user, in their own environment.

    Raises:
        ProcessError: it is not installed.
    """
    words = [str(word) for word in command]
    with _installed(words[0]):
        os.execvp(words[0], words)


def attached(command: Sequence[str | Path], extra: Mapping[str, str]) -> int:
    """As `become`, with `extra` in its environment, and we are there when it is over. Returns its exit code."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the program's: a shell's, or `tail`'s
    try:
        with _installed(str(command[0])):
            return subprocess.run([str(word) for word in command], env={**os.environ, **extra}, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


class Background:
    """A program that goes on while we do: ended by its own id, never by name."""

    def __init__(self, child: "subprocess.Popen[bytes]", log_file: Path) -> None:
        self._child = child
        self.log_file = log_file

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._child.poll()

    def stop(self, grace: float = 10.0) -> int:
        """Ask it to end, wait `grace` seconds, then end it with all that it started. Returns its exit code."""
        if self.running:
            self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(grace)
        _end(self._child)
        return self._child.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        _end(self._child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    command: Sequence[str | Path], *, log_file: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Background:
    """Start a program that goes on; what it prints is appended to `log_file`.

    Raises:
        ProcessError: it is not installed.
    """
    words = [str(word) for word in command]
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as output, _installed(words[0]):
        child = _child(words, (subprocess.DEVNULL, output, subprocess.STDOUT), cwd, env)
    return Background(child, log_file)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End a child and everything that it started: they share its session, and so its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _last_lines(talk: bytes) -> str:
    return "\n".join(talk.decode(errors="replace").strip().splitlines()[-LAST_LINES:])
