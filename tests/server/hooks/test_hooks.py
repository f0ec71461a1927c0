"""Webhooks: a forge wakes the controller, wherever that runs; nobody else does, and nothing else happens."""

import contextlib
import hmac
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gitops.errors import StoreError
from gitops.lab.hardware import free_port
from gitops.server import create_app
from gitops.server.boxes.reports import MAX_BODY
from gitops.server.hooks.hooks import AT_ONCE
from gitops.settings import Settings
from gitops.store import Store
from gitops.store.notes.documents import LastDeployed
from gitops.store.notes.working import Woken
from gitops.workflows.making import patience
from gitops.workflows.making.patience import Patience
from tests.kit.published import shared_keys
from tests.kit.remote import Remote

SECRET = "a-secret-of-some-length"
BODY = b'{"ref": "refs/heads/main"}'


def signature(body: bytes = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "hook-secret"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


@pytest.fixture
def post(store: Store, secret: Path) -> Callable[..., int]:
    client = TestClient(create_app(store, Settings(state=store.paths.root, hook_secret_file=secret)))

    def send(forge: str, *headers: tuple[str, str], body: bytes = BODY) -> int:
        answer = client.post(f"/hooks/{forge}", content=body, headers=list(headers))
        assert SECRET not in answer.text and signature() not in answer.text
        return answer.status_code

    return send


def woken(store: Store) -> int:
    return (store.notes.get(Woken) or Woken()).times


@pytest.mark.parametrize(
    ("forge", "header"),
    [
        ("github", ("X-Hub-Signature-256", f"sha256={signature()}")),
        ("gitea", ("X-Gitea-Signature", signature())),
        ("gitea", ("X-Hub-Signature-256", f"sha256={signature()}")),
        ("forgejo", ("X-Forgejo-Signature", signature())),
        ("gitlab", ("X-Gitlab-Token", SECRET)),
    ],
)
def test_each_forge_wakes_by_its_own_proof(
    store: Store, post: Callable[..., int], forge: str, header: tuple[str, str]
) -> None:
    assert post(forge, header) == 204 and woken(store) == 1
    assert post(forge, header) == 204 and woken(store) == 2, "said again, it is looked at again: no more than that"


@pytest.mark.parametrize(
    ("forge", "headers"),
    [
        ("github", []),
        ("github", [("X-Hub-Signature-256", f"sha256={signature(secret='another-secret-of-it')}")]),
        ("github", [("X-Hub-Signature-256", f"sha256={signature(b'another body')}")]),
        ("github", [("X-Hub-Signature", f"sha1={'0' * 40}")]),
        ("github", [("X-Gitlab-Token", SECRET)]),
        ("github", [("X-Hub-Signature-256", f"sha256={signature()}"), ("X-Hub-Signature-256", "sha256=0")]),
        ("github", [("X-Hub-Signature-256", "")]),
        ("gitea", [("X-Gitea-Signature", "\xe9" * 64)]),
        ("gitlab", [("X-Gitlab-Token", "")]),
        ("gitlab", [("X-Gitlab-Token", SECRET[:-1])]),
        ("gitlab", [("X-Hub-Signature-256", f"sha256={signature()}")]),
    ],
)
def test_without_the_secret_nobody_is_woken(
    store: Store, post: Callable[..., int], forge: str, headers: list[tuple[str, str]]
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    assert post(forge, *raw) == 403 and woken(store) == 0


def test_what_is_no_hook_is_none(store: Store, secret: Path, post: Callable[..., int]) -> None:
    assert post("sourcehut") == post("github/x") == 404
    assert post("github", ("X-Hub-Signature-256", signature(b"x" * (MAX_BODY + 1))), body=b"x" * (MAX_BODY + 1)) == 413
    without = TestClient(create_app(store, Settings(state=store.paths.root)))
    assert without.post("/hooks/gitlab", headers={"X-Gitlab-Token": ""}).status_code == 404
    assert woken(store) == 0


@pytest.mark.parametrize("text", [None, "", "short", "x" * 2000])
def test_a_secret_that_is_none_lets_nobody_in(
    store: Store, secret: Path, post: Callable[..., int], text: str | None
) -> None:
    secret.unlink()
    if text is not None:
        secret.write_text(text)
    assert post("gitlab", ("X-Gitlab-Token", text or "")) == 503 and woken(store) == 0
    secret.write_text(SECRET)
    assert post("gitlab", ("X-Gitlab-Token", SECRET)) == 204, "another one counts without a restart"


def test_who_has_the_secret_wakes_so_often_and_no_more(store: Store, post: Callable[..., int]) -> None:
    codes = [post("gitlab", ("X-Gitlab-Token", SECRET)) for _ in range(AT_ONCE + 10)]
    assert codes.count(429) >= 8 and woken(store) == codes.count(204) <= AT_ONCE + 2


def test_a_rest_ends_when_somebody_wakes_and_not_before(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LEAST", 0.05)
    monkeypatch.setattr(patience, "LOOK", 0.02)
    stop, ours = threading.Event(), Patience()

    def rests(seconds: float) -> bool:
        """Whether it lasted."""
        begun = time.monotonic()
        ours.rest(store, stop, seconds)
        return time.monotonic() - begun >= seconds

    assert rests(0.2)
    store.notes.change(Woken, lambda said: Woken(said.times + 1, int(time.time())))
    assert not rests(30), "what came during the pass counts"
    assert rests(0.2), "once"
    threading.Timer(0.1, lambda: store.notes.put(Woken(9, 1))).start()
    assert not rests(30), "whatever the clock says"
    stop.set()
    assert not rests(30)


def test_another_process_is_woken(tmp_path: Path, secret: Path) -> None:
    """The controller would look in an hour; what is pushed deploys when a server beside it has heard the forge."""
    remote, config, state = Remote(tmp_path), tmp_path / "toweros.toml", tmp_path / "state"
    shutil.copytree(shared_keys(), tmp_path / "keys")
    (remote.work / "fleet.yaml").write_text("source: {branch: main}\n")
    said = {"state": str(state), "keys": "keys", "repository": str(remote.bare), "people_listen": ""}
    said["listen"] = f"127.0.0.1:{free_port()}"
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()) + "poll = 3600\n")
    first = remote.commit("one")
    words = [Path(sys.executable).parent / "toweros", "run", "-c", config]
    with (tmp_path / "log").open("w") as log:
        controller = subprocess.Popen(words, stderr=log)
    try:
        _until(lambda: _deployed(state) == first, controller)
        second = remote.commit("two")
        server = TestClient(create_app(Store.open(state), Settings(state=state, hook_secret_file=secret)))
        assert server.post("/hooks/gitlab", headers={"X-Gitlab-Token": SECRET}).status_code == 204
        _until(lambda: _deployed(state) == second, controller)
    finally:
        controller.terminate()
        assert controller.wait(60) == 0, (tmp_path / "log").read_text()


def _deployed(state: Path) -> str:
    if not (state / "toweros.db").exists():
        return ""
    with contextlib.suppress(StoreError):
        found = Store.open(state).notes.get(LastDeployed)
        return found.revision.commit if found else ""
    return ""


def _until(so: Callable[[], bool], child: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 90
    while not so():
        assert child.poll() is None and time.monotonic() < end
        time.sleep(0.2)
