"""Does the running release do what it must?

One round asks every check once, and looks at all other services: what came up anew there is counted, reported, and as
bad as a check that says no when it goes on. A trial is healthy when, at the end of its window, every check has held for
the last `STEADY` rounds and the server was reached as before; a check that says no is `failed`, a server out of reach
is `indeterminate`. A service holds when containerd says RUNNING, with the pid that it had a round before. What does not
answer may only be slow: it is waited for, `PATIENCE` windows in all. So is a user container until compose has been
there once: Docker starts those of the release before by itself, and they prove nothing.
"""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from toweros_agent.nouns import Check, Verdict

STEADY = 3
PATIENCE = 5
"""Windows until a service that does not answer, or a server that was never reached, is given up."""
MAX_RESTARTS = 1
"""How often a service may come up anew within `RECENT`."""
RECENT = 600.0
"""Seconds: whatever died again and again within them is not well, even if it runs at the moment."""
MARGIN = 60.0
"""Seconds after the window in which the last round must be done; then the watchdog is left to bite."""
LONGEST = 20.0
"""Seconds that one check may take: less than the watchdog waits."""
MAX_BODY = 1 << 20
NAMESPACE = "services.linuxkit"
DOCKER = "/run/docker/docker.sock"
APPS_UP = "/run/docker/apps-up"
"""Written by pkg/compose in each boot, once every app of the release was started."""


class Kind(StrEnum):
    """The types of checks that this agent knows."""

    HTTP = "http"
    SERVICE = "service"
    CONTAINER = "container"


class Task(StrEnum):
    """What containerd says of a service; there are more, all of them a no."""

    RUNNING = "RUNNING"
    UNKNOWN = "UNKNOWN"
    """Its shim did not answer in time."""
    CREATED = "CREATED"
    """It has not begun yet."""


SILENT = (Task.UNKNOWN, Task.CREATED)
MISSING: dict[str, str] = {
    Kind.SERVICE: "there is no such service",
    Kind.CONTAINER: "there is no such container, or compose could not yet start every app",
}


@dataclass(frozen=True)
class Result:
    """What one check said."""

    name: str
    ok: bool
    message: str = ""
    answered: bool = True
    restarts: int = 0


class Surroundings(Protocol):
    """What checks look at."""

    def tasks(self) -> Mapping[str, tuple[int, str]]:
        """Pid and status of every service."""

    def containers(self) -> Mapping[str, tuple[int, str]]:
        """The same of every user container, by its name and by its compose service."""

    def get(self, url: str, timeout: float) -> tuple[int, bytes]:
        """HTTP status and content. Raises `OSError`."""


class System:
    """The real surroundings: containerd's `ctr` and the loopback network."""

    def tasks(self) -> Mapping[str, tuple[int, str]]:
        command = ["ctr", "-n", NAMESPACE, "tasks", "ls"]
        try:
            output = subprocess.run(command, capture_output=True, timeout=LONGEST, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return {}
        rows = [line.split() for line in output.decode(errors="replace").splitlines()[1:]]
        return {row[0]: (int(row[1]), row[2]) for row in rows if len(row) == 3 and row[1].isdigit()}

    def containers(self) -> Mapping[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        end = time.monotonic() + LONGEST
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            for row in json.loads(self._docker("/containers/json?all=1", LONGEST)):
                state = json.loads(self._docker(f"/containers/{row['Id']}/json", end - time.monotonic()))["State"]
                names = [name.lstrip("/") for name in row["Names"]]
                names.append(row["Labels"].get("com.docker.compose.service", ""))
                status = Task.RUNNING if state["Status"] == "running" else str(state["Status"]).upper()
                found |= dict.fromkeys(filter(None, names), (int(state["Pid"]), status))
        return found if Path(APPS_UP).exists() else {}

    def _docker(self, path: str, seconds: float) -> bytes:
        """A GET of Docker's Engine API (1.41), over its socket."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(max(seconds, 0.1))
            engine.connect(DOCKER)
            status, body = _ask("docker", f"/v1.41{path}", seconds, engine)
        if status != 200:
            raise OSError(f"docker: status {status}")
        return body

    def get(self, url: str, timeout: float) -> tuple[int, bytes]:
        from urllib.parse import urlsplit

        parts = urlsplit(url)
        return _ask(parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), timeout)


def _ask(host: str, path: str, timeout: float, connected: socket.socket | None = None) -> tuple[int, bytes]:
    """One HTTP GET. Raises `OSError`."""
    from http.client import HTTPConnection, HTTPException

    try:
        connection = HTTPConnection(host, timeout=timeout)
        connection.sock = connected
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY)
    except (HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


@dataclass
class Checker:
    """Asks the checks, and remembers which pid each service has, and when it got another one (monotonic)."""

    checks: tuple[Check, ...]
    surroundings: Surroundings
    tick: Callable[[], None]
    pids: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, list[float]] = field(default_factory=dict)

    def round(self) -> list[Result]:
        asked = {check.type for check in self.checks}
        tasks = self.surroundings.tasks()
        self.tick()
        running: dict[str, Mapping[str, tuple[int, str]]] = {
            Kind.SERVICE: tasks,
            Kind.CONTAINER: self.surroundings.containers() if Kind.CONTAINER in asked else {},
        }
        results = [self._ask(check, running.get(check.type)) for check in self.checks]
        named = {check.target for check in self.checks if check.type == Kind.SERVICE}
        others = (Check(f"service {name}", Kind.SERVICE, name) for name in tasks if name not in named)
        return results + [result for each in others if (result := self._task(each, tasks)).restarts]

    def _ask(self, check: Check, tasks: Mapping[str, tuple[int, str]] | None) -> Result:
        self.tick()
        return self._http(check) if tasks is None else self._task(check, tasks)

    def _http(self, check: Check) -> Result:
        if check.type != Kind.HTTP:
            return Result(check.name, False, f"this agent knows no check of type {check.type}")
        try:
            status, body = self.surroundings.get(check.target, min(check.timeout, LONGEST))
        except OSError as error:
            return Result(check.name, False, str(error) or type(error).__name__, answered=False)
        if status != check.status:
            return Result(check.name, False, f"status {status}")
        if check.contains.encode() not in body:
            return Result(check.name, False, f"the answer does not contain {check.contains!r}")
        return Result(check.name, True)

    def _task(self, check: Check, tasks: Mapping[str, tuple[int, str]]) -> Result:
        if check.target not in tasks:
            return Result(check.name, False, MISSING[check.type], answered=False)
        pid, status = tasks[check.target]
        times, now = self.restarts.setdefault(check.name, []), time.monotonic()
        if status == Task.RUNNING and self.pids.setdefault(check.name, pid) != pid:
            self.pids[check.name] = pid
            times.append(now)
        recent = sum(now - moment < RECENT for moment in times)
        if status != Task.RUNNING:
            return Result(check.name, False, status, answered=status not in SILENT, restarts=len(times))
        if recent > MAX_RESTARTS:
            return Result(check.name, False, f"restarted {recent} times", restarts=len(times))
        return Result(check.name, True, restarts=len(times))


class Outcome(NamedTuple):
    """How a trial ends. No verdict: the release is healthy, and stays."""

    verdict: Verdict | None = None
    reason: str = ""


@dataclass
class Probation:
    """The trial of one release: rounds come in, a verdict comes out at the end of the window."""

    window: int
    rounds: int = 0
    reached: bool = False
    steady: dict[str, int] = field(default_factory=dict)
    last: dict[str, Result] = field(default_factory=dict)

    def add(self, results: Iterable[Result], reached: bool) -> None:
        self.rounds += 1
        self.reached |= reached
        for result in results:
            self.steady[result.name] = self.steady.get(result.name, 0) + 1 if result.ok else 0
            if not result.ok or result.name not in self.last:
                self.last[result.name] = result

    def outcome(self, elapsed: float) -> Outcome | None:
        """None while it is too early to say."""
        if elapsed < self.window or self.rounds < STEADY:
            return None
        late = elapsed >= self.window * PATIENCE
        unsteady = [name for name, held in self.steady.items() if held < STEADY]
        for name in unsteady:
            coming = self.steady[name] > 0 or not self.last[name].answered
            if late or not coming:
                return Outcome(Verdict.FAILED, f"health check {name}: {self.last[name].message or 'did not hold'}")
        if unsteady or not (self.reached or late):
            return None
        if self.reached:
            return Outcome()
        return Outcome(Verdict.INDETERMINATE, "the server was out of reach during probation")


def onboot_failures(folder: Path) -> list[str]:
    """The onboot containers that ended with another code than 0."""
    failed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        code = path.read_text(errors="replace").strip()
        if code != "0":
            failed.append(f"onboot {path.name}: exit code {code}")
    return failed
