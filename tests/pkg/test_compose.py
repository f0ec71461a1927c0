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


def test_each_app_has_a_folder_of_its_own_in_which_whoever_it_runs_as_holds_a_restart_off(tmp_path: Path) -> None:
    """The engine starts what it knows before, and makes a folder that only root may write."""
    holds = tmp_path / "holds"
    for name in ("net", "web"):
        (tmp_path / "apps" / name).mkdir(parents=True)
        (tmp_path / "apps" / name / "docker-compose.yml").touch()
    (holds / "net").mkdir(parents=True, mode=0o755)
    (holds / "net" / "call").touch()
    changes = ("APPS=/etc/compose", f"APPS={tmp_path}/apps"), ("HOLDS=/run/toweros/holds", f"HOLDS={holds}")
    call("make_holds", tmp_path, *changes)
    assert {each.name: oct(each.stat().st_mode) for each in holds.iterdir()} == {"net": "0o41777", "web": "0o41777"}
    assert (holds / "net" / "call").exists(), "what holds a restart off goes on"
