"""When what was made last time counts: any doubt is a no."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops.assemble.formats import last as module
from gitops.assemble.formats.last import Last

LATER = 10**9
"""Nanoseconds: as if the files of a test were older than they are."""


def remembered(folder: Path, words: tuple[str, ...] = ("a",), began: int = LATER) -> Last:
    for name in ("spec.yml", "out.img"):
        (folder / name).write_text(name)
    found = Last(folder / "assembled", words)
    read = [folder / "spec.yml", folder / "absent"]
    found.remember(read, [folder / "out.img"], time.time_ns() + began)
    return found


def same_size(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def replaced(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    seen = path.stat()
    os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    new.replace(path)


def test_nothing_changed(tmp_path: Path) -> None:
    assert remembered(tmp_path).files() == [tmp_path / "out.img"]
    assert Last(tmp_path / "assembled", ("b",)).files() == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (same_size, "spec.yml"),
        (Path.unlink, "spec.yml"),
        *((each, "out.img") for each in (same_size, replaced, Path.unlink)),
    ],
)
def test_a_file_is_another_one(tmp_path: Path, change: Callable[[Path], object], name: str) -> None:
    found = remembered(tmp_path)
    time.sleep(0.02)
    change(tmp_path / name)
    assert found.files() == []


def test_what_was_read_and_is_written_again_as_it_was_changes_nothing(tmp_path: Path) -> None:
    found = remembered(tmp_path)
    replaced(tmp_path / "spec.yml")
    assert found.files() == [tmp_path / "out.img"]


def test_a_file_that_was_not_there_is(tmp_path: Path) -> None:
    found = remembered(tmp_path)
    (tmp_path / "absent").write_text("now")
    assert found.files() == []


def test_what_is_younger_than_the_clock_can_tell_is_not_trusted(tmp_path: Path) -> None:
    assert remembered(tmp_path, began=0).files() == []


def test_after_a_start_of_the_machine_nothing_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was synced: after a loss of power a file may have its size, and not its bytes."""
    found = remembered(tmp_path)
    (tmp_path / "boot").write_text("another\n")
    monkeypatch.setattr(module, "BOOT", tmp_path / "boot")
    assert found.files() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 1}', '{"run": "x", "seen": [], "read": {}, "written": 3}'])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    found = remembered(tmp_path)
    (note,) = (tmp_path / "assembled" / ".last").iterdir()
    note.write_text(text)
    assert found.files() == []
