"""A key of a box is declared once, beside the member of `Box`, and everything else follows (ADR 17)."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.fleet.schema import KINDS
from gitops.model import KEYS
from tests.kit.console import git
from tests.kit.fleets import repo

HOME = Path(__file__).parent.parent.parent
MODEL = Path("gitops", "model", "fleet.py")
LAST = '    apps: Annotated[tuple[App, ...], Key(word="apps")] = ()\n'
ZONE = '    zone: Annotated[str | None, Key("The time zone.", EVERYWHERE, word="time zone", writes=DROP_IN)] = None\n'


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This program with one line more."""
    folder = tmp_path_factory.mktemp("program")
    shutil.copytree(HOME / "gitops", folder / "gitops", ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / MODEL).read_text()
    assert LAST in text
    (folder / MODEL).write_text(text.replace(LAST, LAST + ZONE))
    return folder


def toweros(program: Path, *words: str | Path) -> str:
    """Runs a copy of the program, in a process of its own."""
    command = [sys.executable, "-c", "from gitops.cli.main import main; main()", *map(str, words)]
    done = subprocess.run(command, cwd=program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_line_declares_a_key_from_the_schema_to_the_box(changed: Path, tmp_path: Path) -> None:
    role = "boot: [boot/a.yml, boot/b.yml]\nzone: Europe/Vienna\n"
    files = {"fleet.yaml": "zone: Etc/UTC\n", "roles/vm.yaml": role, "boxes/one.yaml": "role: vm\n"}
    repo(tmp_path, **files, **{"boxes/two.yaml": None})
    assert "zone" in json.loads(toweros(changed, "schema", "role"))["properties"], "editors know it"
    box = json.loads(toweros(changed, "get", "box", "one", "-C", tmp_path, "-o", "json"))
    assert (box["zone"], box["origins"]["zone"]) == ("Europe/Vienna", "roles/vm.yaml:2"), "the role outranks the fleet"
    files = {file["path"]: file["contents"] for file in box["files"]}
    assert files["etc/toweros/agent.d/50-box.toml"] == 'poll = 30\nzone = "Europe/Vienna"\n'
    assert re.search("zone +Europe/Vienna +roles/vm.yaml:2", toweros(changed, "get", "box", "one", "-C", tmp_path))


def test_a_plan_names_a_change_of_the_new_key_and_of_no_other_box(changed: Path, tmp_path: Path) -> None:
    repo(tmp_path, **{"boxes/one.yaml": "role: vm\n"})
    git(tmp_path, "init", "-qb", "main")
    for text in ("role: vm\n", "role: vm\nzone: Europe/Vienna\n"):
        (tmp_path / "boxes/one.yaml").write_text(text)
        git(tmp_path, "add", "-A")
        git(tmp_path, "-c", "user.name=ada", "-c", "user.email=a@example.org", "commit", "-qm", "one")
    words = ("plan", "-C", tmp_path, "--base", "HEAD^", "--head", "HEAD", "-o", "json")
    (group,) = json.loads(toweros(changed, *words))["groups"]
    assert (group["boxes"], group["reason"]) == (["one"], "time zone changed")


def test_a_key_that_writes_a_file_has_a_word_for_its_change() -> None:
    assert [name for name, key in KEYS.items() if key.writes and not key.word] == []


def test_the_docs_name_every_key() -> None:
    text = (HOME / "docs" / "spec.md").read_text()
    names = {name for model in KINDS.values() for name in model.model_fields}
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`.]|\b{name}:", text)] == []
