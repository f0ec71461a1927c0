"""`toweros run` as an operator has it: other verbs beside it, signals, and damage that is told without a traceback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitops.lab.hardware import free_port
from tests.kit.published import shared_keys
from tests.kit.remote import Remote

TOWEROS = Path(sys.executable).parent / "toweros"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A controller of a fleet without boxes: nothing to build, everything else real."""
    keys, remote = tmp_path / "keys", Remote(tmp_path)
    shutil.copytree(shared_keys(), keys)
    (remote.work / "fleet.yaml").write_text("source: {branch: main}\n")
    remote.commit("one")
    said = {"state": "state", "keys": str(keys), "repository": str(remote.bare), "listen": f"127.0.0.1:{free_port()}"}
    said["people_listen"] = ""
    file = tmp_path / "toweros.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()) + "poll = 1\n")
    return file


def toweros(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run([TOWEROS, *words], capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@contextmanager
def running(config: Path) -> Iterator["subprocess.Popen[str]"]:
    """`toweros run`, from the moment when its first pass is done."""
    with (config.parent / "log").open("w") as log:
        child = subprocess.Popen([TOWEROS, "run", "-c", config], stderr=log, text=True)
    listen = config.read_text().partition('listen = "')[2].partition('"')[0]
    try:
        for _ in range(300):
            assert child.poll() is None, (config.parent / "log").read_text()
            try:
                urllib.request.urlopen(f"http://{listen}/metadata/timestamp.json", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail((config.parent / "log").read_text())
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it(config: Path, number: signal.Signals, code: int) -> None:
    with running(config) as child:
        child.send_signal(number)
        assert child.wait(60) == code  # it may wait for its turn at the database
    assert "Traceback" not in (config.parent / "log").read_text()
    assert toweros("apply", "-c", config)[0] == 0


def test_other_verbs_work_beside_it(config: Path) -> None:
    with running(config):
        lock = config.parent / "state" / "source" / "clone.git" / "being-written.lock"
        lock.write_text("")
        assert toweros("plan", "-c", config) == (0, "No changes.\n")
        assert lock.exists(), "the clone belongs to the controller"
        lock.unlink()
        refused, said = toweros("apply", "-c", config)
        assert refused == 1 and "in use by another controller" in said
        assert toweros("status", "-c", config)[0] == toweros("events", "-c", config)[0] == 0
    assert "Traceback" not in (config.parent / "log").read_text()


@pytest.mark.parametrize("text", [b"a = =", b"poll = 'x'", b"nothing = 1", b"\xff\xfe", b"state = 5"])
def test_garbage_in_the_settings_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "toweros.toml").write_bytes(text)
    code, said = toweros("status", "-c", tmp_path / "toweros.toml")
    assert code == 1 and said.startswith("error: ") and "toweros.toml" in said


def test_a_damaged_database_is_named(config: Path) -> None:
    assert toweros("apply", "-c", config)[0] == 0
    database = config.parent / "state" / "toweros.db"
    whole = database.read_bytes()
    for damaged in (b"x" * len(whole), whole[:4096] + os.urandom(len(whole) - 4096)):
        for rest in ("-wal", "-shm"):
            database.with_name(f"toweros.db{rest}").unlink(missing_ok=True)
        database.write_bytes(damaged)
        code, said = toweros("apply", "-c", config)
        assert code == 1 and "database" in said and "docs/controller.md" in said and "sqlalche" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["qemu", "gone"], "there is neither gone nor gone-kernel"),
        (["raw-efi"], "which file of the format raw-efi?"),
        (["raw-efi", "a", "--cpus", "0"], "--cpus 0 is no number of processors"),
        (["raw-efi", "a", "--mem", "-1"], "--mem -1 is no size of a memory"),
        (["raw-efi", "a", "--data", "x", "--data-file", "y"], "--data and --data-file are one thing"),
        (["raw-efi", "a", "--data-file", "gone"], "gone: No such file or directory"),
        (["raw-efi", "a", "--data-file", "/dev/zero"], "/dev/zero: is a device, and a file is expected"),
        (["raw-efi", "a", "--networking", "tap"], "--networking tap is not known"),
        (["qemu", "a.img", "--disk", "gone.img"], "there is no disk gone.img"),
        (["qemu", "a.img", "--fw", "gone.fd"], "there is no gone.fd\nhint: name a firmware"),
        (["--mem", "512"], "of which machine?"),
    ],
)
def test_a_machine_that_cannot_be_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.img").touch()
    code, told = toweros("run", *words)
    assert code == 1 and told.startswith("error: ") and said in told
    assert {path.name for path in tmp_path.iterdir()} == {"a.img"}, "nothing is left of what was refused"
