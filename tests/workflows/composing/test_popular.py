"""Compose files in the shape of popular projects: each is taken, or its mistake stands where its first line says."""

from pathlib import Path

import pytest

from gitops.builders.places import Places
from gitops.errors import Problem
from gitops.fleet.apps.compose import load_app
from gitops.workflows.composing.complaints import complaints
from gitops.workflows.composing.program import fetched
from tests.kit import built
from tests.simulators.tree import DictTree

APP = "boot/compose/net"
FILES = sorted(Path(__file__).parent.glob("popular/*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_popular_file_is_taken_or_its_mistake_has_its_line(file: Path) -> None:
    program = fetched(built.FOLDER / "compose", Places()) or pytest.fail("no mirror has it")
    text = file.read_text().replace("@DIGEST", f"@sha256:{'0' * 64}")
    expected, beside = text.split("\n")[0].removeprefix("# "), text.split("\n")[1]
    names = beside.partition(": ")[2].split(", ") if beside.startswith("# beside it: ") else []
    tree = DictTree({f"{APP}/docker-compose.yml": text, **{f"{APP}/{name}": "A=1\n" for name in names}})
    problems: list[Problem] = []
    app = load_app(tree, APP, "staged", problems)
    assert app or problems
    problems += complaints(program, tree, app, {}) if app else []
    found = [f"{problem.line}: {problem.message}" for problem in dict.fromkeys(problems)]
    assert found == [] if expected == "taken" else len(found) == 1 and found[0].startswith(expected), found
