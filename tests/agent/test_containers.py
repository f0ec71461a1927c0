"""User containers, as the agent sees them through Docker's socket."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from toweros_agent.health import checks, system
from toweros_agent.health.checks import Checker, Result
from toweros_agent.health.probation import BAD, Probation
from toweros_agent.nouns import Check, Verdict

from tests.simulators.services import Services


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A Docker engine's socket: what it answers, by path."""
    answers: dict[str, Any] = {}

    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path)
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(system, "DOCKER", path)
    monkeypatch.setattr(system, "APPS_UP", str(tmp_path / "apps-up"))
    with socketserver.ThreadingUnixStreamServer(path, Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield answers
        server.shutdown()


def test_user_containers_are_seen_by_name_and_by_compose_service(docker: dict[str, Any], tmp_path: Path) -> None:
    rows = [
        {"Id": "aa", "Names": ["/hlr-1"], "Labels": {"com.docker.compose.service": "hlr"}},
        {"Id": "bb", "Names": ["/msc"], "Labels": {}},
    ]
    docker["/v1.41/containers/json?all=1"] = rows
    docker["/v1.41/containers/aa/json"] = {"State": {"Status": "running", "Pid": 7}}
    docker["/v1.41/containers/bb/json"] = {"State": {"Status": "restarting", "Pid": 0}}
    expected = {"hlr-1": (7, "RUNNING"), "hlr": (7, "RUNNING"), "msc": (0, "RESTARTING")}
    assert system.System().containers() == {}, "Docker's own start of what an older release left is no proof"
    (tmp_path / "apps-up").touch()
    assert system.System().containers() == expected
    docker["/v1.41/containers/json?all=1"] = "garbage"
    assert system.System().containers() == {}


def test_without_an_engine_there_are_no_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "DOCKER", str(tmp_path / "nothing"))
    assert system.System().containers() == {}


def test_a_service_that_no_check_names_counts_once_it_came_up_anew() -> None:
    services = Services({"web": (1, "RUNNING"), "ntpd": (2, "RUNNING")})
    checker = Checker((Check("web", "service", "web"),), services, lambda: None)
    said = []
    for pid in (2, 3, 4):
        services.running["ntpd"] = (pid, "RUNNING")
        said.append([(result.name, result.ok, result.restarts) for result in checker.round()])
    web = ("web", True, 0)
    assert said == [[web], [web, ("service ntpd", True, 1)], [web, ("service ntpd", False, 2)]]
    probation = Probation(1)
    for _ in range(BAD):
        probation.add(checker.round(), reached=True)
    assert probation.outcome(2) == (Verdict.FAILED, "health check service ntpd: restarted 2 times", "service ntpd")


@pytest.mark.parametrize(("status", "answered"), [("UNKNOWN", False), ("CREATED", False), ("STOPPED", True)])
def test_a_service_that_nobody_can_tell_about_has_not_said_no(status: str, answered: bool) -> None:
    services = Services({"web": (1, "RUNNING")})
    checker = Checker((Check("web", "service", "web"),), services, lambda: None)
    assert checker.round() == [Result("web", True)]
    services.running["web"] = (1, status)
    assert checker.round() == [Result("web", False, status, answered=answered)]
    services.running["web"] = (1, "RUNNING")
    assert checker.round() == [Result("web", True)], "the same process: nothing was restarted"


def test_a_container_that_keeps_dying_is_counted_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(checks.time, "monotonic", lambda: now[0])
    services = Services(docker={"hlr": (1, "RUNNING")})
    checker = Checker((Check("hlr", "container", "hlr"),), services, lambda: None)
    assert [result.ok for result in checker.round()] == [True]
    for pid in (2, 3):
        services.docker = {"hlr": (pid, "RUNNING")}
        (result,) = checker.round()
    assert (result.ok, result.restarts, result.message) == (False, 2, "restarted 2 times")
    now[0] += checks.RECENT + 1
    (result,) = checker.round()
    assert result.ok and result.restarts == 2, "what was long ago is counted, and forgiven"
