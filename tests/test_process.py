"""Programs end when they should, take their children with them, and never see our secrets."""

import os
import time
from pathlib import Path

import pytest

from gitops import process
from gitops.errors import ProcessError


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def dies(pid: int) -> bool:
    """A killed grandchild is nobody's to wait for: the kernel may need a moment."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_output_comes_back() -> None:
    assert process.run(["cat"], stdin=b"hello") == b"hello"


def test_a_failure_carries_the_last_lines() -> None:
    with pytest.raises(ProcessError, match=r"failed \(3\):\nbroken"):
        process.run(["sh", "-c", "echo broken >&2; exit 3"])


@pytest.mark.parametrize(
    ("command", "code"), [("exit 3", 3), ("kill -9 $$", None), ("sleep 60", None)], ids=["fails", "is killed", "hangs"]
)
def test_only_a_program_that_came_to_its_end_has_an_exit_code(command: str, code: int | None) -> None:
    with pytest.raises(ProcessError) as caught:
        process.run(["sh", "-c", command], timeout=2)
    assert caught.value.code == code


def test_a_missing_program_names_the_way_out() -> None:
    with pytest.raises(ProcessError, match="not installed") as caught:
        process.run(["no-such-program"])
    assert "toweros doctor" in caught.value.hint and caught.value.code is None


def test_time_out_ends_the_whole_family(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="longer than"):
        process.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout=0.5)
    assert dies(int((tmp_path / "pid").read_text()))


def test_secrets_in_the_environment_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWEROS_TOKEN", "secret")
    assert b"secret" not in process.run(["env"])


def test_a_background_program_is_ended_by_its_id(tmp_path: Path) -> None:
    with process.start(["sh", "-c", "echo up; exec sleep 60"], log_file=tmp_path / "log") as child:
        assert child.running and child.pid != os.getpid()
        deadline = time.monotonic() + 5
        while not (tmp_path / "log").read_bytes() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert not alive(child.pid)
    assert (tmp_path / "log").read_text() == "up\n"


def test_a_filter_is_read_as_far_as_one_likes_and_its_failure_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1_000_000)
    with (tmp_path / "in").open("rb") as source, process.piped(["cat"], source) as stream:
        assert len(stream.read()) == 1_000_000
    with (tmp_path / "in").open("rb") as source, process.piped(["sh", "-c", "yes; exit 1"], source) as stream:
        assert stream.read(4) == b"y\ny\n", "who reads no further ends it, and is told nothing"
    broken = pytest.raises(ProcessError, match=r"sh failed \(3\):\nbroken")
    with (tmp_path / "in").open("rb") as source, broken:
        with process.piped(["sh", "-c", "echo broken >&2; exit 3"], source) as stream:
            stream.read()
    with (tmp_path / "in").open("rb") as source, pytest.raises(ProcessError, match="not installed"):
        with process.piped(["no-such-program"], source):
            pytest.fail("it is not there")
