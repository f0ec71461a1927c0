"""The documents, taken apart: which commands they show, and where.

A command stands in a code block (a fence, or four spaces after an empty line) or between backticks in a sentence. In a
block it is whole; in a sentence it may leave out what the sentence is not about.
"""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
FOLDERS = ("docs", "fleet-repo-template")


@dataclass(frozen=True)
class Command:
    """One command line of a document, as a shell would split it."""

    where: str
    words: tuple[str, ...]
    whole: bool
    """It stands in a block, so that somebody may copy it: nothing may be missing."""


def documents() -> list[Path]:
    """Every page that people read; the changelog speaks of the past."""
    below = [path for folder in FOLDERS for path in sorted((CHECKOUT / folder).rglob("*.md"))]
    return [*(path for path in sorted(CHECKOUT.glob("*.md")) if path.name != "CHANGELOG.md"), *below]


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """The lines that stand in code blocks, with their numbers (from 1), without their indentation."""
    fenced, before = False, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            yield number, line
        elif line.startswith("    ") and (before.startswith("    ") or not before.strip()):
            yield number, line[4:]
        before = line


def commands(path: Path, program: str) -> list[Command]:
    """Every call of a program in a document; `a|b|c` is three of them."""
    text, name = path.read_text(), path.relative_to(CHECKOUT)
    shown = [(number, line, True) for number, line in blocks(text)]
    lines = {number for number, _, _ in shown}
    for number, line in enumerate(text.splitlines(), 1):
        if number not in lines:
            shown += [(number, code, False) for code in re.findall(r"`([^`]+)`", line)]
    return [
        Command(f"{name}:{number}", words, whole)
        for number, line, whole in shown
        for call in _calls(line, program)
        for words in itertools.product(*map(alternatives, call))
    ]


def _calls(line: str, program: str) -> Iterator[list[str]]:
    if program not in line:
        return
    words = shlex.split(line.removeprefix("$ "), comments=True)
    for is_joint, part in itertools.groupby(words, lambda word: word in ("&&", "||", "|", ";")):
        call = list(part)
        if not is_joint and call[0] == program:
            yield call[1:]


def alternatives(word: str) -> list[str]:
    """`table|json` is two words; `[box]` is one that may be there."""
    return word.strip("[]").split("|")
