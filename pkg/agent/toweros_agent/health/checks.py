"""What is asked in a round of health checks.

A service holds when containerd says RUNNING, with the pid that it had a round before. What does not answer may only be
slow. So may a user container until compose has been there once: Docker starts those of the release before by itself,
and they prove nothing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from toweros_agent import deadlines
from toweros_agent.health.keeper import Wards
from toweros_agent.nouns import Check, Verdict

MAX_RESTARTS = 1
"""How often a service may come up anew within `RECENT`."""
RECENT = 600.0
"""Seconds: whatever died again and again within them is not well, even if it runs at the moment."""


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


LATE = "it did not end within"
"""pkg/init says so of an onboot container that it ended (common.sh, `run_once`)."""
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


class Surroundings(Wards, Protocol):
    """What checks look at."""

    def tasks(self) -> Mapping[str, tuple[int, str]]:
        """Pid and status of every service."""

    def containers(self) -> Mapping[str, tuple[int, str]]:
        """The same of every user container, by its name and by its compose service."""

    def get(self, url: str, timeout: float) -> tuple[int, bytes]:
        """HTTP status and content. Raises `OSError`."""


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
        containers = self.surroundings.containers() if Kind.CONTAINER in asked else {}
        self.tick()
        running: dict[str, Mapping[str, tuple[int, str]]] = {Kind.SERVICE: tasks, Kind.CONTAINER: containers}
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
            status, body = self.surroundings.get(check.target, min(check.timeout, deadlines.CHECK))
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


def onboot_verdict(failure: str) -> Verdict:
    """What hung may wait for something outside, such as a DHCP server: that says nothing of the release."""
    return Verdict.INDETERMINATE if LATE in failure else Verdict.FAILED


def onboot_failures(folder: Path) -> list[str]:
    """The onboot containers that ended with another code than 0."""
    failed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        code = path.read_text(errors="replace").strip()
        if code != "0":
            failed.append(f"onboot {path.name}: exit code {code}")
    return failed
