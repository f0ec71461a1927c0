"""What people read is made by a process of its own: boxes are answered meanwhile, and it may die."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.server import Apart, create_app, serve
from gitops.server.people.api import PATHS
from gitops.server.people.documents import AbsentError, Asked, Document, QueryError
from gitops.server.people.page import PLACES
from gitops.server.people.rendering import here
from gitops.settings import Settings
from gitops.store import Store

PATIENCE = 30.0
PLAIN = [*map(Asked, PATHS.values()), Asked(Document.rollout), Asked(Document.metrics)]
PAGES = [Asked(document, html=True) for document in PLACES]
WHERE = [*PATHS, *PLACES.values(), "/api/v1/rollout", "/metrics"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(state=tmp_path / "state")
    Store.of(settings, migrate=True).boxes.enroll("demo-1", "ab" * 32)
    return settings


@pytest.fixture
def render(settings: Settings) -> Iterator[Apart]:
    with Apart(settings) as render:
        yield render


def child() -> BaseProcess:
    [process] = [each for each in multiprocessing.active_children() if each.name == "documents"]
    return process


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("asked", [*PLAIN, *PAGES], ids=lambda asked: f"{asked.document}-{asked.html}")
def test_it_is_the_same_document(settings: Settings, render: Apart, asked: Asked) -> None:
    made = render(asked)

    assert len(made) > 10
    assert (b"demo-1" in made) == (asked.document in (Document.fleet, Document.metrics))
    if not asked.html:  # a page says how long ago something was
        assert made == here(Store.of(settings), settings)(asked)


def test_what_is_wrong_with_a_question_comes_back_as_that(render: Apart) -> None:
    with pytest.raises(QueryError, match="there is no parameter 'x'"):
        render(Asked(Document.fleet, query="x=1"))
    with pytest.raises(AbsentError, match="no box demo-9"):
        render(Asked(Document.box, "demo-9", html=True))


def test_boxes_are_answered_while_it_does_nothing(settings: Settings, render: Apart) -> None:
    app = create_app(Store.of(settings), settings, render)
    with serve(app, "127.0.0.1:0") as url, ThreadPoolExecutor(len(WHERE)) as people:
        assert status(url) == 200
        os.kill(child().pid or 0, signal.SIGSTOP)

        waiting = [people.submit(status, url + path) for path in WHERE]
        answers = {status(f"{url}/metadata/timestamp.json"), status(f"{url}/healthz")}
        os.kill(child().pid or 0, signal.SIGCONT)

        assert answers == {404, 200}
        for each, path in zip(waiting, WHERE, strict=True):
            assert each.result(PATIENCE) == (403 if path.endswith("/audit") else 200), path


def test_one_that_dies_is_begun_again(settings: Settings, render: Apart) -> None:
    with serve(create_app(Store.of(settings), settings, render), "127.0.0.1:0") as url:
        assert status(url) == 200
        first = child()
        first.kill()
        first.join()

        assert [status(url), status(url)] == [503, 200]
        assert child().pid != first.pid


def test_one_that_gives_nothing_is_ended(render: Apart) -> None:
    render(Asked(Document.fleet))
    first = child()
    os.kill(first.pid or 0, signal.SIGSTOP)
    render.patience = 0.1

    with pytest.raises(TowerosError, match="took more than"):
        render(Asked(Document.fleet))

    assert not first.is_alive()


def test_what_the_store_says_reaches_whoever_asked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Apart(Settings(state=tmp_path / "file")) as render:
        for _ in range(2):
            with pytest.raises(TowerosError, match="cannot use"):
                render(Asked(Document.fleet))


def test_it_ends_with_a_server_that_is_killed(settings: Settings) -> None:
    both = ["--listen", "127.0.0.1:0", "--people-listen", "127.0.0.1:0"]
    words = [str(Path(sys.executable).with_name("toweros")), "server", *both]
    server = subprocess.Popen(
        [*words, "--state", str(settings.state)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert server.stdout
    try:
        url = next(line for line in server.stdout if b"update server for" in line).decode().split()[-1]
        assert status(f"{url}/") == 200
        [process] = [each for each in children(server.pid) if b"spawn_main" in Path(each, "cmdline").read_bytes()]
    finally:
        server.kill()
        server.wait()

    end = time.monotonic() + PATIENCE
    while process.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not process.exists()


def children(process: int) -> list[Path]:
    """Their folders in /proc."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += [each] if f"\nPPid:\t{process}\n" in Path(each, "status").read_text() else []
    return found
