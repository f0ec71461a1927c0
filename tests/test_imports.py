"""Who may import whom: the rules hold, and every kind of forbidden import breaks them."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")
AGENT = CHECKOUT / "pkg" / "agent" / "toweros_agent"
LIGHT = {"toweros_agent", "tuf", "securesystemslib", "cryptography"}
"""What a box has beside Python's own library; securesystemslib is what tuf's keys are made of."""


def check(folder: Path) -> tuple[int, str]:
    done = subprocess.run([LINTER, "--no-cache"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree and its rules, to break."""
    shutil.copytree(CHECKOUT / "gitops", tmp_path / "gitops", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_as_it_is_keeps_every_rule(copy: Path) -> None:
    code, words = check(copy)
    assert code == 0, words


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("publish/publisher", "from gitops.sign import keys", "gitops.publish is not allowed to import gitops.sign"),
        ("oci/registry", "from gitops import assemble", "gitops.oci is not allowed to import gitops.assemble"),
        ("server/app", "from gitops import controller", "gitops.server is not allowed to import gitops.controller"),
        ("workflows/verify", "from gitops import server", "gitops.workflows is not allowed to import gitops.server"),
        ("store/files/blobs", "from gitops import publish", "gitops.store is not allowed to import gitops.publish"),
        ("review/text", "import requests", "gitops.review is not allowed to import requests"),
        ("source/trust/releases", "import requests", "is not allowed to import requests"),
        ("rollout/rules", "from gitops import store", "is not allowed to import gitops.store"),
        ("plan", "from gitops import process", "gitops.plan is not allowed to import gitops.process"),
        ("model/fleet", "import sqlalchemy", "gitops.model is not allowed to import sqlalchemy"),
    ],
    ids=lambda value: None if " " in value else value,
)
def test_a_forbidden_import_breaks_the_rules(copy: Path, module: str, line: str, broken: str) -> None:
    place = copy / "gitops" / f"{module}.py"
    place.write_text(f"{place.read_text()}\n{line}\n")
    code, words = check(copy)
    assert code == 1 and broken in words, words


def test_a_room_without_a_place_in_the_layers_breaks_the_rules(copy: Path) -> None:
    (copy / "gitops" / "attic").mkdir()
    (copy / "gitops" / "attic" / "__init__.py").write_text("")
    code, words = check(copy)
    assert code == 1 and "attic" in words


def test_what_says_that_it_is_pure_is_held_to_it() -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = (each["source_modules"] for each in contracts if each["name"] == "rules are pure")
    loose = []
    for path in sorted((CHECKOUT / "gitops").rglob("*.py")):
        module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
        says_so = re.search(r"\bPure[.:;]", ast.get_docstring(ast.parse(path.read_text())) or "")
        if says_so and not any(f"{module}.".startswith(f"{source}.") for source in pure):
            loose.append(module)
    assert loose == []


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    names = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "toweros_agent")
    return {each.split(".")[0] for each in names}


def test_the_agent_is_light_and_shares_no_code_with_the_controller() -> None:
    heavy = {str(path): imported(path) - LIGHT - sys.stdlib_module_names for path in AGENT.rglob("*.py")}
    assert heavy and {path: names for path, names in heavy.items() if names} == {}
