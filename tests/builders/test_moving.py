"""mmdebstrap may take as long as it moves; one that stands still is ended, with what there is to do about it."""

import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.builders.context import write_context
from gitops.builders.moving import run_while_it_moves
from gitops.errors import BuildError, ProcessError
from gitops.store import Store
from tests.kit.fleets import PACKAGES, load

STILL = 1.0


def script(folder: Path, text: str) -> Path:
    place = folder / "mmdebstrap"
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


@pytest.mark.parametrize("moves", ["echo word", 'echo byte >>"$1"'], ids=["says", "writes"])
def test_a_program_that_moves_is_not_ended_however_long_it_takes(tmp_path: Path, moves: str) -> None:
    """Four times as long as it may stand still."""
    slow = script(tmp_path, f"for i in 1 2 3 4 5 6 7 8; do {moves}; sleep 0.5; done; echo done >>$1")
    run_while_it_moves([slow, tmp_path / "out"], tmp_path / "log", [tmp_path / "out"], STILL)
    assert (tmp_path / "out").read_text().endswith("done\n")


def test_one_that_stands_still_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    hung = script(tmp_path, f"echo the last word; sleep 600 & echo $! >{tmp_path}/child; wait")
    with pytest.raises(ProcessError, match=r"said and wrote nothing for 1 s and was ended:\nthe last word") as caught:
        run_while_it_moves([hung], tmp_path / "log", [], STILL)
    assert caught.value.code is None
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "status"
    while child.exists() and "\nState:\tZ" not in child.read_text():  # killed; somebody else buries it
        time.sleep(0.01)


@pytest.mark.parametrize(("words", "code"), [("echo why; exit 3", 3), (f"kill -{signal.SIGKILL.value} $$", None)])
def test_one_that_fails_says_its_last_lines(tmp_path: Path, words: str, code: int | None) -> None:
    with pytest.raises(ProcessError, match="failed") as caught:
        run_while_it_moves([script(tmp_path, words)], tmp_path / "log", [], STILL)
    assert caught.value.code == code and ("why" in caught.value.message) == (code is not None)


def test_a_package_whose_root_stands_still_names_itself_the_log_and_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()
    script(tmp_path / "tools", "echo unpacking >&2; exec sleep 600")
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")
    (tmp_path / "context").mkdir()
    package = replace(load(PACKAGES)["pkg/hello"], lock=(), rootfs="custom")
    with pytest.raises(BuildError, match="pkg/hello: mmdebstrap said and wrote nothing") as caught:
        write_context(Store.open(tmp_path / "s"), package, PACKAGES, tmp_path / "context", STILL)
    assert caught.value.transient, "it is tried again: this machine is to blame"
    log = tmp_path / "s" / "logs" / "build-pkg-hello.log"
    assert str(log) in caught.value.hint and "`rootfs_still`" in caught.value.hint
    assert log.read_text() == "unpacking\n"
