"""The compose service starts a container again when anything beside its compose file changed."""

import subprocess
from pathlib import Path

from tests.kit.init import CHECKOUT

SCRIPT = CHECKOUT / "pkg/compose/files/usr/bin/start-compose"


def call(function: str, folder: Path, *changes: tuple[str, str]) -> str:
    """What a function of the script says; `changes`: of its text."""
    functions = SCRIPT.read_text().replace("\nmain\n", "\n")
    for old, new in changes:
        assert old in functions
        functions = functions.replace(old, new)
    done = subprocess.run(
        ["busybox", "sh", "-c", f"{functions}\n{function}"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def contents(folder: Path) -> str:
    return call("contents", folder)


def test_every_file_counts_whatever_it_is_called_and_so_does_every_link(tmp_path: Path) -> None:
    """A name with a space was two names that are not there: its container kept the old configuration."""
    app = tmp_path / "app"
    (app / "a folder").mkdir(parents=True)
    assert contents(app) == "", "an app of one file has no link"
    for name in ("plain", "a folder/with two words", 'quo"te', "-n", "line\nbreak"):
        before = contents(app)
        (app / name).write_text("one")
        added = contents(app)
        (app / name).write_text("two")
        assert len({before, added, contents(app)}) == 3, name
    for target in ("plain", "a folder"):
        before = contents(app)
        (app / "now").unlink(missing_ok=True)
        (app / "now").symlink_to(target)
        assert contents(app) != before
