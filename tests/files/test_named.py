"""Files that somebody named, and that are none: an end and a sentence, whatever they are."""

import os
import threading
from pathlib import Path

import pytest

from gitops.cli.main import main
from gitops.files.named import UnfitError, named

BAD = {
    "zeros without end": "/dev/zero",
    "the kernel's memory": "/proc/kcore",
    "a pipe that nobody writes into": "pipe",
    "a folder": "folder",
    "ten gigabytes of nothing": "sparse",
}
VERBS = {
    "a spec": ("assemble", "{}", "--dry-run"),
    "images": ("image", "import", "{}", "--state", "state"),
    "settings": ("status", "--config", "{}"),
    "a backup": ("restore", "{}", "--state", "state"),
    "a build file": ("pkg", "show-tag", "--build-yml", "{}", "."),
    "a key": ("box", "enroll", "one", "--key", "{}", "--state", "state"),
    "a draft": ("keys", "import", "{}", "--config", "toweros.toml"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "toweros.toml").write_text('keys = "keys"\n')
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 << 30)
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_file_ends_in_a_sentence(
    folder: Path, kind: str, verb: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`assemble /dev/zero` took all memory; a pipe was waited for without end."""
    monkeypatch.setattr("sys.argv", ["toweros", *(word.format(BAD[kind]) for word in VERBS[verb])])
    with pytest.raises(SystemExit) as ended:
        main()
    said = "".join(capfd.readouterr())
    assert ended.value.code not in (0, None) and "unexpected" not in said and "Traceback" not in said, said


def test_a_pipe_is_read_to_its_end(folder: Path) -> None:
    def write() -> None:
        with (folder / "pipe").open("wb") as pipe:
            pipe.write(b"a" * 70_000)
            pipe.flush()
            pipe.write(b"b")

    held = os.open(folder / "pipe", os.O_RDWR)  # as a shell's `<(program)` has it: somebody writes from the start on
    threading.Thread(target=write).start()
    writer = threading.Timer(0.5, os.close, (held,))
    writer.start()
    assert named(folder / "pipe", 1 << 20) == b"a" * 70_000 + b"b"
    writer.join()


def test_the_bound_holds_for_what_says_no_size(folder: Path) -> None:
    assert named(Path("/proc/self/status"), 1 << 20).startswith(b"Name:")
    with pytest.raises(UnfitError, match="more than 10 bytes"):
        named(Path("/proc/self/status"), 10)
