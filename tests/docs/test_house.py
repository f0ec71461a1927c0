"""The picture of the house is the house: every room is in it, and who may import whom is what is checked."""

import re
import tomllib

from tests.kit.docs import CHECKOUT, DOCS, blocks

ARCHITECTURE, GLOSSARY = DOCS / "architecture.md", DOCS / "glossary.md"
GITOPS = CHECKOUT / "gitops"


def rooms() -> set[str]:
    """Every folder of code at the top, and every module that lies loose there."""
    folders = {path.parent for path in GITOPS.glob("*/__init__.py")}
    loose = {path for path in GITOPS.glob("*.py") if path.name != "__init__.py"}
    return {f"{path.relative_to(CHECKOUT)}/" for path in folders} | {str(path.relative_to(CHECKOUT)) for path in loose}


def inner_rooms() -> set[str]:
    """Every folder of code within a room."""
    folders = {path.parent for path in GITOPS.glob("*/**/*.py")} - {path.parent for path in GITOPS.glob("*/*.py")}
    return {f"{path.relative_to(CHECKOUT)}/" for path in folders}


def test_every_room_is_in_the_picture_once() -> None:
    rows = re.findall(r"^\| (`gitops/.*?) \|", ARCHITECTURE.read_text(), re.M)
    drawn = [room for row in rows for room in re.findall(r"`(gitops/[^`]+)`", row)]
    assert sorted(drawn) == sorted(rooms() | inner_rooms())


def test_who_may_import_whom_is_what_the_linter_checks() -> None:
    """Top to bottom, as pyproject.toml has it; the order of siblings does not matter."""
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [each["layers"] for each in contracts if each["type"] == "layers" and each["containers"] == ["gitops"]]
    after = ARCHITECTURE.read_text().partition("## What may import what")[2].partition("## ")[0]
    drawn = [line for _, line in blocks(after) if line]
    assert [set(line.split(" | ")) for line in drawn] == [set(re.split(r" [|:] ", line)) for line in layers]


def test_every_room_is_where_somebody_would_look_for_a_change() -> None:
    """A room that no line of the table leads to is one that nobody finds."""
    named = set(re.findall(r"`(gitops/[^`]+)`", (DOCS / "development.md").read_text()))
    unseen = {room for room in rooms() if not any(name.startswith(room) for name in named)}
    assert unseen <= {"gitops/model/", "gitops/lab/", "gitops/process.py", "gitops/errors.py"}


def test_every_word_of_the_glossary_has_one_line() -> None:
    words = [word for row in re.findall(r"^\| (.*?) \| ", GLOSSARY.read_text(), re.M) for word in row.split(", ")]
    assert {"layer", "release", "candidate", "offer", "hold", "recipe", "sequence", "evidence"} <= set(words)
    assert [word for word in words if words.count(word) > 1] == []


def test_every_decision_has_the_number_that_its_page_says() -> None:
    pages = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert [page.name for page in pages if not page.read_text().startswith(f"# {int(page.name[:4])}. ")] == []
