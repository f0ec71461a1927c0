"""The code keeps its own rules: linters, types, import rules, sizes, and what no file may hold."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
AGENT = CHECKOUT / "pkg" / "agent"
BIN = Path(sys.executable).parent
MODULE_LINES, FUNCTION_LINES = 400, 60


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout
    return [CHECKOUT / name for name in names.decode().split("\0") if name and (CHECKOUT / name).is_file()]


def product() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and "tests" not in path.relative_to(CHECKOUT).parts]


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (["ruff", "check", "gitops", "tests", "pkg"], CHECKOUT),
        (["mypy"], CHECKOUT),
        (["mypy", "--strict", "--python-version", "3.13", "-p", "toweros_agent"], AGENT),
        (["lint-imports"], CHECKOUT),
    ],
    ids=["ruff", "mypy", "mypy-agent", "import-linter"],
)
def test_linter(command: list[str], folder: Path) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_and_functions_stay_small() -> None:
    large = []
    for path in product():
        text = path.read_text()
        if len(text.splitlines()) > MODULE_LINES:
            large.append(str(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                large += [f"{path}:{node.lineno} {node.name}"] if size > FUNCTION_LINES else []
    assert large == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in product()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_the_agent_shares_no_code_with_the_controller() -> None:
    assert not [path for path in AGENT.rglob("*.py") if re.search(r"^\s*(from|import) gitops", path.read_text(), re.M)]


def test_no_file_names_a_package_registry() -> None:
    hosts = re.compile(r"//[a-z0-9.-]*(debian|pyp" + r"i|pythonhosted|npm" + r"js|golang)\.(org|com)")
    texts = {path: path.read_bytes().decode(errors="replace") for path in tracked()}
    assert [str(path) for path, text in texts.items() if hosts.search(text)] == []


def test_shell_scripts_parse() -> None:
    scripts = [path for path in tracked() if path.read_bytes()[:10].startswith(b"#!/bin/sh")]
    assert scripts
    for script in scripts:
        done = subprocess.run(["sh", "-n", script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
