"""`toweros status`: which boxes, again and again, and until they are as they should be."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from gitops.errors import TowerosError
from gitops.model import Health
from gitops.store import Store, tables
from gitops.store.notes.directory import Place
from tests.kit.console import toweros
from tests.kit.told import COMMIT, NEW, Told, tell

TOWEROS = [Path(sys.executable).parent / "python", "-c", "from gitops.cli.main import main; main()"]
BOXES = (
    Told("fine", Place("vm", "lab", {"ring": "0"})),
    Told("broken", Place("relay", "depot", {"ring": "1"}), Health.DEGRADED, error="no space"),
    Told("away", Place("relay", "mast", {"ring": "1"}), silent=True),
    Told("late", Place("vm", "mast"), runs=False, hold=("waits for canary", "fine")),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    here = Store.open(tmp_path / "state")
    tell(here, BOXES, int(time.time()))
    return here


def refused(store: Store, *words: str) -> str:
    done = toweros("status", *words, "--state", store.paths.root)
    assert done.exit_code == 1 and isinstance(done.exception, TowerosError), done.exception or done.output
    return f"{done.exception.message} ({done.exception.hint})"


def chosen(store: Store, *words: str) -> list[str]:
    done = toweros("status", *words, "--state", store.paths.root, "-o", "json")
    assert done.exit_code == 0, done.exception
    return [row["box"] for row in json.loads(done.stdout)["boxes"]]


def heals(store: Store, box: str) -> None:
    with store._database.write() as connection:
        now = {"received": int(time.time()), "health": "Healthy", "content": NEW, "release": NEW, "error": ""}
        connection.execute(update(tables.reports).where(tables.reports.c.box == box).values(now))


def test_trouble_comes_first_and_words_choose(store: Store) -> None:
    assert chosen(store) == ["away", "broken", "late", "fine"]
    assert chosen(store, "--role", "relay", "--label", "ring=1", "--health", "degraded") == ["broken"]
    assert chosen(store, "--sync", "OutOfSync") == chosen(store, "--held") == ["late"]
    assert chosen(store, "--silent") == chosen(store, "--site", "mast", "--role", "relay") == ["away"]
    assert chosen(store, "--revision", COMMIT[:7], "--agent", "1", "--text", "SPACE") == ["broken"]
    done = toweros("status", "--site", "moon", "--state", store.paths.root)
    assert done.stdout == "No box of these.\n" and "0 of 4 boxes" in done.stderr
    assert "KEY=VALUE" in refused(store, "--label", "ring")
    assert "name a box, or say which" in refused(store, "fine", "--held")


def test_what_to_look_at_can_be_asked_for_and_is_counted_below_a_table_of_any_length(store: Store) -> None:
    """Five hundred rows scroll what comes first out of the window; the last line stays in it."""
    assert chosen(store, "--trouble") == ["away", "broken"]
    assert "stay the same" in refused(store, "--trouble", "--wait", "healthy")
    done = toweros("status", "--state", store.paths.root)
    assert done.stderr.startswith("4 boxes: 2 Healthy, 1 Degraded, 1 Missing, 1 OutOfSync, 2 in trouble")
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "silent for 1 d" in rows["away"] and "no space" in rows["broken"]
    one = toweros("status", "--site", "depot", "--state", store.paths.root)
    assert one.stderr.startswith("1 of 4 boxes: 1 Degraded, 1 in trouble")


def test_whoever_waits_goes_on_when_all_are_as_they_should_be(store: Store) -> None:
    wait = ("--wait", "healthy", "--wait", "synced", "--wait", f"running={COMMIT[:9]}")
    assert chosen(store, "--role", "vm", "--text", "fine", "--wait", "healthy") == ["fine"]
    later = threading.Timer(0.3, heals, (store, "late"))
    later.start()
    assert chosen(store, "--role", "vm", *wait, "--timeout", "60") == ["late", "fine"]
    later.join()
    message = refused(store, *wait, "--timeout", "0")
    assert "away (Synced, Missing), broken (Synced, Degraded)" in message and "broken: no space" in message
    assert "running=" in refused(store, "late", "--wait", "running=v9", "--timeout", "0")


def test_to_wait_for_what_cannot_come_is_said_at_once(store: Store) -> None:
    assert "no box is meant" in refused(store, "--role", "vmm", "--wait", "healthy")
    assert "there is no box nobody" in refused(store, "nobody", "--wait", "healthy")
    for word in ("helthy", "running=", "running=5c1e", "running"):
        assert "running=" in refused(store, "--wait", word)
    for moving in ("--silent", "--held", "--health=Missing", "--sync=Synced", "--revision=v1"):
        assert "stay the same" in refused(store, moving, "--wait", "healthy")


def test_who_watches_sees_each_change_until_interrupted(store: Store) -> None:
    """On a terminal: frame upon frame in one place, nothing cut at 60 columns, and no traceback at the end."""
    ours, theirs = pty.openpty()
    # A shell that runs the tests in its background has them ignore this signal.
    watch = ["status", "-w", "--every", "0.2", "--state", str(store.paths.root)]
    environment = os.environ | {"COLUMNS": "60", "LINES": "40", "TERM": "xterm"}
    watcher = subprocess.Popen(
        ["env", "--default-signal=INT", *TOWEROS, *watch], stdout=theirs, stderr=subprocess.PIPE, env=environment
    )
    os.close(theirs)
    seen = _until(ours, b"no space")
    heals(store, "broken")
    seen += _until(ours, b"\x1b[H")
    watcher.send_signal(signal.SIGINT)
    rest = threading.Thread(target=_drained, args=(ours,), daemon=True)
    rest.start()
    _, said = watcher.communicate(timeout=30)
    assert watcher.returncode == 130 and said == b""
    assert seen.startswith(b"\x1b[H") and b"\x1b[31m" in seen and seen.count(b"\x1b[H") >= 2


def test_who_reads_no_more_ends_the_watch_and_nobody_is_told_of_it(store: Store) -> None:
    words = [*TOWEROS, "status", "-w", "--every", "600", "-o", "json", "--state", str(store.paths.root)]
    watcher = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watcher.stdout and watcher.stderr
    assert len(json.loads(watcher.stdout.readline())["boxes"]) == 4
    watcher.stdout.close()
    assert watcher.wait(timeout=30) == 141, "it noticed, though nothing changed"
    assert watcher.stderr.read() == b""


def _until(terminal: int, text: bytes) -> bytes:
    seen, end = b"", time.monotonic() + 60
    while text not in seen and time.monotonic() < end:
        seen += os.read(terminal, 65536)
    return seen


def _drained(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass
