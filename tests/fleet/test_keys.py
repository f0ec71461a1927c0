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
GOLDEN = HOME / "tests" / "golden" / "fleet"
MODEL = Path("gitops", "model", "fleet.py")
LAST = '    apps: Annotated[tuple[App, ...], Key(word="apps")] = ()\n'
ZONE = '    zone: Annotated[str | None, Key("The time zone.", EVERYWHERE, word="time zone", writes=DROP_IN)] = None\n'
PEERS = (
    '    peers: Annotated[tuple[str, ...] | None, Key("Boxes near it.", (Level.box,), word="peers", writes=DROP_IN)]'
    " = None\n"
)
TOWEROS = "from gitops.cli.main import main; main()"
BOX_KEYS = """
import json, pathlib, sys
from gitops.fleet import load_fleet
from gitops.plan import box_keys
from gitops.source import FolderTree
print(json.dumps(box_keys(load_fleet(FolderTree(pathlib.Path(sys.argv[1]))))))
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This program with one line more for each of two keys."""
    folder = tmp_path_factory.mktemp("program")
    shutil.copytree(HOME / "gitops", folder / "gitops", ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / MODEL).read_text()
    assert LAST in text
    (folder / MODEL).write_text(text.replace(LAST, LAST + ZONE + PEERS))
    return folder


def run(program: Path, script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the program, in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(command, cwd=program, capture_output=True, text=True, timeout=120)


def toweros(program: Path, *words: str | Path) -> str:
    done = run(program, TOWEROS, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_line_declares_a_key_from_the_schema_to_the_box(changed: Path, tmp_path: Path) -> None:
    role = "boot: [boot/a.yml, boot/b.yml]\nzone: Europe/Vienna\n"
    files = {"fleet.yaml": "zone: Etc/UTC\n", "roles/vm.yaml": role, "boxes/one.yaml": "role: vm\npeers: [two, six]\n"}
    repo(tmp_path, **files, **{"boxes/two.yaml": None})
    assert "zone" in json.loads(toweros(changed, "schema", "role"))["properties"], "editors know it"
    box = json.loads(toweros(changed, "get", "box", "one", "-C", tmp_path, "-o", "json"))
    assert (box["zone"], box["origins"]["zone"]) == ("Europe/Vienna", "roles/vm.yaml:2"), "the role outranks the fleet"
    drop_in = {file["path"]: file["contents"] for file in box["files"]}["etc/toweros/agent.d/50-box.toml"]
    assert drop_in == 'poll = 30\nzone = "Europe/Vienna"\npeers = ["two", "six"]\n'
    shown = toweros(changed, "get", "box", "one", "-C", tmp_path)
    assert re.search("zone +Europe/Vienna +roles/vm.yaml:2", shown)
    assert re.search("peers +two, six +boxes/one.yaml:2", shown)


def test_a_new_key_at_the_wrong_level_is_a_mistake_that_says_where_it_belongs(changed: Path, tmp_path: Path) -> None:
    repo(tmp_path, **{"fleet.yaml": "zone: 7\n", "roles/vm.yaml": "boot: [boot/a.yml]\npeers: [two]\n"})
    output = run(changed, TOWEROS, "validate", tmp_path).stdout
    assert "fleet.yaml:1:7: `zone`: should be a valid string" in output
    assert "roles/vm.yaml:2:1: unknown key `peers`; did you mean `peers` in boxes/NAME.yaml?" in output


def test_a_plan_names_a_change_of_the_new_key_and_of_no_other_box(changed: Path, tmp_path: Path) -> None:
    repo(tmp_path)
    git(tmp_path, "init", "-qb", "main")
    for text in ("role: vm\n", "role: vm\nzone: Europe/Vienna\n"):
        (tmp_path / "boxes/one.yaml").write_text(text)
        git(tmp_path, "add", "-A")
        git(tmp_path, "-c", "user.name=ada", "-c", "user.email=a@example.org", "commit", "-qm", "one")
    words = ("plan", "-C", tmp_path, "--base", "HEAD^", "--head", "HEAD", "-o", "json")
    (group,) = json.loads(toweros(changed, *words))["groups"]
    assert (group["boxes"], group["reason"]) == (["one"], "time zone changed")


def test_a_new_key_that_nobody_says_changes_no_box(changed: Path) -> None:
    expected = json.loads((GOLDEN / "boxes.json").read_text())["keys"]
    assert json.loads(run(changed, BOX_KEYS, GOLDEN / "repo").stdout) == expected


def test_a_key_that_writes_a_file_has_a_word_for_its_change() -> None:
    assert [name for name, key in KEYS.items() if key.writes and not key.word] == []


def test_the_docs_name_every_key() -> None:
    text = (HOME / "docs" / "spec.md").read_text()
    names = {name for model in KINDS.values() for name in model.model_fields}
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`.]|\b{name}:", text)] == []
