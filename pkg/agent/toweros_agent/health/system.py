"""Whom health checks ask: containerd's `ctr`, Docker's Engine API (1.41) on its socket, and the loopback network.

Nobody of them is trusted to answer: each question has one end (deadlines.py), however the answer trickles.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import ChainMap
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from toweros_agent.deadlines import ANSWER, SERVICES
from toweros_agent.health import counters
from toweros_agent.health.checks import Task
from toweros_agent.health.counters import Counters
from toweros_agent.health.keeper import CONTAINERD
from toweros_agent.health.keeper import DOCKER as ENGINE
from toweros_agent.host.connections import Limits, Plain, Unix

MAX_BODY = 1 << 20
NAMESPACE = "services.linuxkit"
TASKS = "/run/containerd/io.containerd.runtime.v2.task"
"""Where containerd 1.7 has a folder for each namespace in which something was started."""
MAX_NAMESPACES = 16
DOCKER = "/run/docker/docker.sock"
CONTAINERD_PID = "/run/containerd/pid"
"""Written by pkg/init."""
ENGINE_HERE = "/run/docker/engine"
"""Written by pkg/docker before it starts the engine."""
APPS_UP = "/run/docker/apps-up"
"""Written by pkg/compose in each boot, once every app of the release was started."""


class System:
    """The real surroundings."""

    def __init__(self) -> None:
        self._tasks: Mapping[str, tuple[int, str]] | None = None
        self._ids: dict[str, str] = {}
        self._end = 0.0

    def tasks(self) -> Mapping[str, tuple[int, str]]:
        self._tasks = self._ask_containerd()
        return self._tasks or {}

    def _ask_containerd(self) -> Mapping[str, tuple[int, str]] | None:
        """Of all namespaces, as a spec may name one for a service; of two tasks of one name, init's own counts."""
        end = time.monotonic() + SERVICES
        own = _tasks_of(NAMESPACE, end)
        others = [] if own is None else [_tasks_of(each, end) or {} for each in _other_namespaces()]
        return own if own is None else dict(ChainMap(own, *others))

    def containers(self) -> Mapping[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        end = time.monotonic() + SERVICES
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            for row in json.loads(self._docker("/containers/json?all=1", end)):
                state = json.loads(self._docker(f"/containers/{row['Id']}/json", end))["State"]
                names = [name.lstrip("/") for name in row["Names"]]
                names.append(row["Labels"].get("com.docker.compose.service", ""))
                status = Task.RUNNING if state["Status"] == "running" else str(state["Status"]).upper()
                status += ", oom killed" if status != Task.RUNNING and state.get("OOMKilled") else ""
                found |= dict.fromkeys(filter(None, names), (int(state["Pid"]), status))
        return found if Path(APPS_UP).exists() else {}

    def answers(self) -> Mapping[str, bool]:
        """As containerd did when it was last asked for its tasks; another service of that name has another socket."""
        found = {CONTAINERD: self._tasks is not None}
        if Path(ENGINE_HERE).exists() and self._tasks and self._tasks.get(ENGINE, (0, ""))[1] == Task.RUNNING:
            try:  # whatever it says, of whatever version it is: it answers
                _ask(Unix(DOCKER, Limits(time.monotonic() + ANSWER, SERVICES)), "/_ping")
                found[ENGINE] = True
            except OSError:
                found[ENGINE] = False
        return found

    def counters(self) -> Mapping[str, Counters]:
        """`_end`: of all that Docker is asked in this round about them, ends of containers included."""
        found, self._end, self._ids = dict(counters.services()), time.monotonic() + ANSWER, {}
        for identity, each in counters.user_containers().items():
            if each.killed or each.refused:
                name = f"user container {self._name(identity, self._end)}"
                found[name], self._ids[name] = each, identity
        return found

    def _name(self, identity: str, end: float) -> str:
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            return str(json.loads(self._docker(f"/containers/{identity}/json", end))["Name"]).lstrip("/")
        return identity[:12]

    def end(self, name: str) -> bool:
        """A service's first process takes all others of its pid namespace with it, or its shim does that.

        Docker starts a user container again. Of many together, the one with the most processes ends.
        """
        if name == counters.ALL:
            name = counters.fattest()
            if name == ENGINE and self.end(counters.ALL_APPS):
                return True
        if name == counters.ALL_APPS:
            each = counters.user_containers()
            return bool(each) and self._restart(max(each, key=lambda identity: each[identity].pids))
        if name in self._ids:
            return self._restart(self._ids[name])
        pid = _pid_of_containerd() if name == CONTAINERD else (self._tasks or {}).get(name, (0, ""))[0]
        if pid <= 1:
            return False
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _restart(self, identity: str) -> bool:
        with contextlib.suppress(OSError):
            path = f"/v1.41/containers/{identity}/restart?t=0"
            return _ask(Unix(DOCKER, Limits(self._end, SERVICES)), path, "POST")[0] == 204
        return False

    def _docker(self, path: str, end: float) -> bytes:
        """A GET. Raises `OSError`."""
        status, body = _ask(Unix(DOCKER, Limits(end, SERVICES)), f"/v1.41{path}")
        if status != 200:
            raise OSError(f"docker: status {status}")
        return body

    def get(self, url: str, timeout: float) -> tuple[int, bytes]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise OSError(f"{url}: {error}") from error
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _ask(Plain(host, port, Limits(time.monotonic() + timeout, timeout)), path)


def _tasks_of(namespace: str, end: float) -> dict[str, tuple[int, str]] | None:
    """By name, until a time of the monotonic clock; None: containerd does not say."""
    command = ["ctr", "-n", namespace, "tasks", "ls"]
    try:
        left = max(0.0, end - time.monotonic())
        output = subprocess.run(command, capture_output=True, timeout=left, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split() for line in output.decode(errors="replace").splitlines()[1:]]
    return {row[0]: (int(row[1]), row[2]) for row in rows if len(row) == 3 and row[1].isdigit()}


def _other_namespaces() -> list[str]:
    with contextlib.suppress(OSError):
        return sorted({path.name for path in Path(TASKS).iterdir()} - {NAMESPACE})[:MAX_NAMESPACES]
    return []


def _pid_of_containerd() -> int:
    """0: it does not run, or that number is another's by now."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(Path(CONTAINERD_PID).read_text())
        if Path(f"/proc/{pid}/comm").read_text().strip() == CONTAINERD:
            return pid
    return 0


def _ask(connection: Plain, path: str, method: str = "GET") -> tuple[int, bytes]:
    """One HTTP request: status, and at most `MAX_BODY` of the content. Raises `OSError`."""
    try:
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY)
    except (HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
