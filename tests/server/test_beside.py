"""The update server as a process of its own: it may die, and so may who began it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitops.errors import SettingsError
from gitops.lab.hardware import free_port
from gitops.server import beside
from gitops.server.beside import Beside
from gitops.settings import Settings
from gitops.store import Store

PATIENCE = 90
ENDED_BY_ITSELF = """
import sys, time
from pathlib import Path
from gitops.server.beside import Beside
from gitops.settings import Settings
from gitops.store import Store

if __name__ == "__main__":
    settings = Settings(state=Path(sys.argv[1]), listen=sys.argv[2], people_listen=sys.argv[3])
    Store.of(settings, migrate=True)
    made = Beside(settings)
    with made:
        print(made.process, flush=True)
        time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    listen, people = (f"127.0.0.1:{free_port()}" for _ in range(2))
    made = Settings(state=tmp_path / "state", listen=listen, people_listen=people)
    Store.of(made, migrate=True)
    return made


def answers(listen: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{listen}/healthz", timeout=20) as answer:
        return bool(answer.read() == b"ok\n")
    return False


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_server_that_is_killed_is_begun_again_and_ends_with_the_controller(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "PAUSE", 0.05)
    made = Beside(settings)
    with made as urls:
        assert urls == (f"http://{settings.listen}", f"http://{settings.people_listen}")
        assert answers(settings.listen) and answers(settings.people_listen)
        with urllib.request.urlopen(f"{urls.people}/api/v1/boxes", timeout=20) as answer:
            assert json.loads(answer.read())["boxes"] == []
        first = made.process
        assert first not in (0, os.getpid())
        os.kill(first, signal.SIGKILL)
        until(lambda: made.process not in (0, first) and answers(settings.listen))
        with pytest.raises(SettingsError, match="cannot listen on"), Beside(settings):
            pass
    assert not answers(settings.listen) and not answers(settings.people_listen)


@pytest.fixture
def controller(settings: Settings, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    (tmp_path / "controller.py").write_text(ENDED_BY_ITSELF)
    words = [sys.executable, tmp_path / "controller.py", settings.state, settings.listen, settings.people_listen]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def test_a_server_does_not_outlive_a_controller_that_is_killed(
    settings: Settings, controller: "subprocess.Popen[str]"
) -> None:
    assert controller.stdout
    server = int(controller.stdout.readline())
    assert answers(settings.listen)
    controller.send_signal(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{server}").exists() or not answers(settings.listen))
    assert not answers(settings.listen)
