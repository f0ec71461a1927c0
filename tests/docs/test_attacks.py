"""Every attack and fault that the documents name has a story that there is."""

import ast
import re

import pytest

from tests.kit.docs import CHECKOUT, DOCS

ROWS = re.findall(r"^\| (?!attack|---)(.+?) \| .+ \| (.+?) \|$", (DOCS / "attacks.md").read_text(), re.M)


def stories(path: str) -> set[str]:
    """The tests of a file, by name."""
    module = ast.parse((CHECKOUT / path).read_text())
    return {node.name for node in module.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("attack", "story"), ROWS, ids=[attack for attack, _ in ROWS])
def test_an_attack_has_its_story(attack: str, story: str) -> None:
    path, _, name = story.strip("`").partition("::")
    assert name.startswith("test_") and name in stories(path), f"{attack}: no {story}"


def test_no_attack_is_named_twice_and_none_is_lost() -> None:
    assert len({attack for attack, _ in ROWS}) == len(ROWS) >= 63
