"""The code keeps its own rules: linters, types, sizes, the place of each test, and what no file may hold.

Who may import whom is in `tests/test_imports.py`.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import STORIES

CHECKOUT = Path(__file__).resolve().parents[1]
AGENT = CHECKOUT / "pkg" / "agent"
BIN = Path(sys.executable).parent
MODULE_LINES, FUNCTION_LINES, CLASS_LINES, METHODS, PARAMETERS, ROOM_LINES, LOOSE_LINES = 400, 60, 200, 20, 6, 1500, 800
"""A room is the files directly in one folder; the loose modules are those directly in `gitops/`."""
BESIDE_THE_MODULES = {"agent", "conformance", "contracts", "docs", "e2e", "golden", "kit", "pkg", "simulators"}
"""Folders of tests that mirror no folder of `gitops/`."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked(folder: str = ".") -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z", folder], cwd=CHECKOUT, capture_output=True, check=True).stdout
    return [CHECKOUT / name for name in names.decode().split("\0") if name and (CHECKOUT / name).is_file()]


def product() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and "tests" not in path.relative_to(CHECKOUT).parts]


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (["ruff", "check", "gitops", "tests", "pkg", "bench"], CHECKOUT),
        (["mypy"], CHECKOUT),
        (["mypy", "--strict", "--python-version", "3.13", "-p", "toweros_agent"], AGENT),
        (["lint-imports"], CHECKOUT),
    ],
    ids=["ruff", "mypy", "mypy-agent", "import-linter"],
)
def test_linter(command: list[str], folder: Path) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def name(path: Path, part: str = "") -> str:
    return f"{path.relative_to(CHECKOUT)} {part}".strip()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def nodes(kind: Any) -> Iterator[tuple[Path, Any, int]]:
    """Every function or class of the product: where it is, and how many lines it has."""
    for path in product():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield path, node, (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_and_functions_stay_small() -> None:
    large = [name(path) for path in product() if lines(path) > MODULE_LINES]
    large += [name(path, node.name) for path, node, size in nodes(Function) if size > FUNCTION_LINES]
    assert large == []


def test_classes_stay_small() -> None:
    def methods(node: ast.ClassDef) -> int:
        return sum(isinstance(part, Function) for part in node.body)

    large = {
        name(path, node.name): f"{size} lines, {methods(node)} methods"
        for path, node, size in nodes(ast.ClassDef)
        if size > CLASS_LINES or methods(node) > METHODS
    }
    assert large == {}


def test_functions_take_few_arguments() -> None:
    """The options of a verb are not counted: typer wants each of them as a parameter."""

    def counts(parameter: ast.arg) -> bool:
        kind = ast.unparse(parameter.annotation) if parameter.annotation else ""
        return parameter.arg not in ("self", "cls") and not re.search("(Option|Argument)", kind)

    def parameters(node: Any) -> int:
        return sum(map(counts, [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]))

    many = {name(path, node.name): parameters(node) for path, node, _ in nodes(Function)}
    assert {what: count for what, count in many.items() if count > PARAMETERS} == {}


def test_rooms_stay_small() -> None:
    rooms = Counter[Path]()
    for path in product():
        rooms[path.parent] += lines(path)
    large = {name(room): size for room, size in rooms.items() if size > ROOM_LINES}
    if (loose := rooms[CHECKOUT / "gitops"]) > LOOSE_LINES:
        large["gitops"] = loose
    assert large == {}


def folders(top: str) -> set[str]:
    """The folders below `top` that hold code."""
    return {str(path.parent.relative_to(CHECKOUT / top)) for path in tracked(top) if path.suffix == ".py"} - {"."}


def test_tests_mirror_the_modules() -> None:
    modules, tests = (
        folders("gitops"),
        {path for path in folders("tests") if path.split("/")[0] not in BESIDE_THE_MODULES},
    )
    assert tests <= modules, "a folder of tests is called as the folder that it tests"
    untested = {path for path in modules if "/" not in path} - tests
    assert untested == set()
    assert not [name(path) for path in tracked("tests") if path.suffix == ".py" and stray(path)]


def stray(path: Path) -> bool:
    """Whether a file is a test by name and not by content, or the other way round."""
    return path.name.startswith("test_") != bool(re.search(r"^(    )?def test_", path.read_text(), re.MULTILINE))


def test_no_test_imports_another_one() -> None:
    borrowed = re.compile(
        r"^\s*(from tests[\w.]*\.test_|import tests[\w.]*\.test_|from tests[\w.]* import .*\btest_)", re.M
    )
    files = [path for path in tracked("tests") if path.suffix == ".py"]
    assert [name(path) for path in files if borrowed.search(path.read_text())] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in product()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


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


def test_whoever_asks_for_the_field_is_in_a_group_that_has_one() -> None:
    for path in (CHECKOUT / "tests" / "e2e").glob("test_*.py"):
        text = path.read_text()
        assert "field: Field" not in text or "def field(" in text or path.name in STORIES, path.name
