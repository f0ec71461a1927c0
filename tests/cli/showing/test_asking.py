"""What cannot be undone is done when somebody said yes: by a word, or at a terminal; No is what silence means."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitops.errors import TowerosError
from gitops.store import Store
from tests.kit.console import toweros
from tests.kit.fleet_desk import FleetDesk
from tests.kit.told import Told, tell

TOWEROS = [Path(sys.executable).parent / "python", "-c", "from gitops.cli.main import main; main()"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    here = Store.open(tmp_path / "state")
    tell(here, [Told("gw")], int(time.time()))
    return here


def revoked(store: Store) -> bool:
    row = store.boxes.row("gw")
    return bool(row and row.revoked)


def test_without_a_terminal_it_is_refused_with_what_to_type(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    state = str(store.paths.root)
    monkeypatch.setattr(sys, "argv", ["toweros", "box", "revoke", "gw", "--state", "a folder"])
    refused = toweros("box", "revoke", "gw", "--state", state, typed="y\n").exception
    assert isinstance(refused, TowerosError) and "nobody is here to be asked" in refused.message
    assert refused.hint.endswith("toweros box revoke gw --state 'a folder' --yes") and not revoked(store)
    assert toweros("box", "revoke", "gw", "--yes", "--state", state).exit_code == 0 and revoked(store)


@pytest.mark.parametrize(("typed", "done"), [(b"\n", False), (b"\x04", False), (b"y\n", True)])
def test_at_a_terminal_only_yes_is_yes(store: Store, typed: bytes, done: bool) -> None:
    ours, theirs = pty.openpty()
    words = [*TOWEROS, "box", "revoke", "gw", "--state", str(store.paths.root)]
    child = subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    os.write(ours, typed)
    _, said = child.communicate(timeout=60)
    os.close(ours)
    assert (child.returncode == 0) is done is revoked(store)
    assert b"never again" in said and b"Traceback" not in said and (done or b"nothing is done" in said)


def test_a_restore_over_something_asks_and_touches_nothing(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.backup"
    file.write_bytes(b"no backup")
    refused = toweros("restore", file, "--replace", "--state", store.paths.root).exception
    assert isinstance(refused, TowerosError) and "counts no more" in refused.message
    assert [each.name for each in store.paths.root.glob("replaced-*")] == []


def test_a_dry_run_of_a_wipe_commits_nothing(tmp_path: Path) -> None:
    desk = FleetDesk(tmp_path)
    desk.store.boxes.enroll("a", "ab" * 32)
    before = desk.run("box", "wipe", "a", "--why", "sold", "--dry-run")
    assert before.exit_code == 0, before.exception
    assert "would do: commit the end of a" in before.stderr and "nothing is done" in before.stderr
    assert "wipe" not in (desk.repo / "boxes" / "a.yaml").read_text()


def test_a_dry_run_of_a_secret_connects_to_nobody_and_shows_nothing_of_it(store: Store, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("correct horse")
    words = ("gw", "wifi", "--file", tmp_path / "value", "--address", "192.0.2.1", "--dry-run")
    done = toweros("box", "secret", *words, "--state", store.paths.root)
    assert done.exit_code == 0 and "put 13 bytes as the secret wifi of gw, at root@192.0.2.1" in done.stderr
    assert "horse" not in done.output + done.stderr
