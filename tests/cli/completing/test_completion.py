"""What bash offers behind `toweros`: verbs, options and names; and names that would be commands."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitops.cli.completing import tree
from gitops.cli.completing.offered import offered
from gitops.errors import TowerosError
from gitops.store import Store
from gitops.store.notes.directory import Place
from tests.kit.console import toweros
from tests.kit.told import Told, tell

HOSTILE = [
    "$(touch owned).yaml",
    "`touch owned`.yaml",
    "-oProxyCommand=x.yaml",
    "a b.yaml",
    "gw;reboot.yaml",
    "\x1b[2J.yaml",
]
COMPLETE = r"""
source <(toweros completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_toweros
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a fleet repo with names of all kinds, and a state with one more box."""
    folder = tmp_path / "fleet"
    for part in ("boxes", "roles", "pkg/sshd"):
        (folder / part).mkdir(parents=True)
    for name in ("fleet.yaml", "boxes/gw-north.yaml", "boxes/gw-south.yaml", "roles/relay.yaml"):
        (folder / name).write_text("")
    for name in HOSTILE:
        (folder / "boxes" / name).write_text("")
    tell(Store.open(folder / "state"), [Told("gw-old", Place("relay", "mast"))], int(time.time()))
    (folder / "toweros.toml").write_text('state = "state"\n')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_bash_offers_verbs_options_and_names_and_runs_none_of_them(fleet: Path, tmp_path: Path) -> None:
    tree.tree()  # kept, as after the first time
    command = tmp_path / "bin" / "toweros"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from gitops.cli.main import main; main()" "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"}

    def reply(*words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", COMPLETE, "bash", "toweros", *words],
            env=environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    assert reply("box", "ssh", "gw") == ["gw-north", "gw-old", "gw-south"], "of the folder and of the state; no others"
    assert reply("box", "s") == ["secret", "shell", "ssh"]
    assert not list(fleet.rglob("owned"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("stat", ["status"]),
        ("status --si", ["--silent", "--site"]),
        ("status --role ", ["relay"]),
        ("status --site ", ["mast"]),
        ("status --role=r", ["--role=relay"]),  # as zsh and fish ask
        ("status --role=", ["--role=relay"]),
        ("status --role = r", ["relay"]),  # as bash does
        ("status --role =", ["relay"]),
        ("status --role=x", []),
        ("status --nonsense=x", []),
        ("status --health M", ["Missing"]),
        ("status --held gw-o", ["gw-old"]),
        ("status --text gw", []),
        ("status -o ", ["json", "table", "yaml"]),
        ("build pkg/", ["pkg/sshd"]),
        ("completion ", ["bash", "fish", "words", "zsh"]),
        ("validate ", ["*files*"]),
        ("nonsense ", []),
        ("box nonsense --x", []),
    ],
)
def test_what_fits_is_offered(fleet: Path, words: str, expected: list[str]) -> None:
    found = offered(words.split(" "))
    assert found == expected if words != "nonsense " else "status" in found


def test_a_cache_that_is_damaged_or_cannot_be_written_costs_time_alone(fleet: Path, tmp_path: Path) -> None:
    assert "ssh" in offered(["box", ""])
    (kept,) = (tmp_path / "cache" / "toweros").glob("completion-*.json")
    for text in ("{", "[]", '{"": 1}', '{"": {"x": 1}}'):
        kept.write_text(text)
        assert "ssh" in offered(["box", ""]), text
    kept.unlink()
    kept.mkdir()
    (kept / "in the way").write_text("")
    assert "ssh" in tree.tree()["box"].below


def test_a_damaged_state_leaves_the_names_of_the_folder(fleet: Path) -> None:
    for file in (fleet / "state").glob("toweros.db*"):
        file.write_bytes(b"no database" * 1000)
    assert offered(["box", "ssh", ""]) == ["gw-north", "gw-south"]
    (fleet / "toweros.toml").write_text("= damaged")
    assert offered(["box", "ssh", ""]) == ["gw-north", "gw-south"]


def test_each_shell_has_its_script() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "toweros completion words" in toweros("completion", shell).stdout
    assert isinstance(toweros("completion", "bash", "zsh").exception, TowerosError)
