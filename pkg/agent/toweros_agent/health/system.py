"""Whom health checks ask: containerd's `ctr`, Docker's Engine API (1.41) on its socket, and the loopback network.

Nobody of them is trusted to answer: each question has one end (deadlines.py), however the answer trickles.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from toweros_agent.deadlines import SERVICES
from toweros_agent.health.checks import Task
from toweros_agent.host.connections import Limits, Plain, Unix

MAX_BODY = 1 << 20
NAMESPACE = "services.linuxkit"
DOCKER = "/run/docker/docker.sock"
APPS_UP = "/run/docker/apps-up"
"""Written by pkg/compose in each boot, once every app of the release was started."""


class System:
    """The real surroundings."""

    def tasks(self) -> Mapping[str, tuple[int, str]]:
        command = ["ctr", "-n", NAMESPACE, "tasks", "ls"]
        try:
            output = subprocess.run(command, capture_output=True, timeout=SERVICES, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return {}
        rows = [line.split() for line in output.decode(errors="replace").splitlines()[1:]]
        return {row[0]: (int(row[1]), row[2]) for row in rows if len(row) == 3 and row[1].isdigit()}

    def containers(self) -> Mapping[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        end = time.monotonic() + SERVICES
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            for row in json.loads(self._docker("/containers/json?all=1", end)):
                state = json.loads(self._docker(f"/containers/{row['Id']}/json", end))["State"]
                names = [name.lstrip("/") for name in row["Names"]]
                names.append(row["Labels"].get("com.docker.compose.service", ""))
                status = Task.RUNNING if state["Status"] == "running" else str(state["Status"]).upper()
                found |= dict.fromkeys(filter(None, names), (int(state["Pid"]), status))
        return found if Path(APPS_UP).exists() else {}

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


def _ask(connection: Plain, path: str) -> tuple[int, bytes]:
    """One HTTP GET: status, and at most `MAX_BODY` of the content. Raises `OSError`."""
    try:
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY)
    except (HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
