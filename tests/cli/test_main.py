"""What the command line says of others' words is harmless for a terminal; what the system refuses is told in words."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.fleets import TREE

START = "from gitops.cli.main import main; main()"


def test_words_of_a_fleet_repo_write_no_escapes(tmp_path: Path) -> None:
    for path in TREE.entries():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(TREE.read(path))
    (tmp_path / "pkg/sshd/packages.in").write_text("deb \x1b]0;pwn\x07\n")
    words = [sys.executable, "-c", START, "get", "packages", "-C", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "is not understood" in done.stderr and "?]0;pwn?" in done.stderr
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


@pytest.mark.parametrize(
    ("line", "said", "help_of"),
    [
        ("suspend box-7", "Missing option '--why'", "toweros suspend --help"),
        ("status --troubl", "--trouble", "toweros status --help"),
        ("status --health ill", "Invalid value for '--health'", "toweros status --help"),
        ("box adopt --nome x", "--name", "toweros box adopt --help"),
        ("statu", "No such command", "toweros --help"),
    ],
)
def test_a_mistyped_command_is_told_its_option_and_whose_help_has_it(line: str, said: str, help_of: str) -> None:
    words = [sys.executable, "-c", START, *line.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"COLUMNS": "400", "PATH": ""})
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr and f"`{help_of}`" in done.stderr


def test_a_path_that_cannot_be_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    words = [sys.executable, "-c", START, "init", str(tmp_path / "file" / "x")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={"COLUMNS": "400", "PATH": ""})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"error: {tmp_path}/file/x: Not a directory", "hint: name another path, or fix its permissions"
    ]  # fmt: skip
