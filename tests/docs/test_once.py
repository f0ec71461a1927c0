"""A page says a thing once: what two merges leave behind is found, where both sides changed one sentence."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.kit.docs import CHECKOUT, blocks, documents

NEAR, SAME_START, SAME_END = 6, 40, 60
"""Lines apart, and letters: two lines so near that begin or end like this are two versions of one."""
REFERENCE = CHECKOUT / "docs" / "api.md"
"""Printed by `make api`, where each route has the same answers."""


def twice(text: str) -> Iterator[str]:
    """Lines that say again what one shortly before them says; and headings that stick to what is above them."""
    code = {number for number, _ in blocks(text)}
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if number not in code]
    for place, (number, line) in enumerate(lines):
        if re.match("#{2,} ", line) and place and lines[place - 1][1].strip():
            yield f"{number}: {line} follows a line"
        for other, before in lines[max(place - NEAR, 0) : place]:
            start, end = alike(before, line), alike(before[::-1], line[::-1])
            if start >= SAME_START or (end >= SAME_END and not line.startswith("|")):  # rows may name the same test
                yield f"{other} and {number}: {line[:80]}"


def alike(one: str, other: str) -> int:
    """Letters that both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@pytest.mark.parametrize("page", [path for path in documents() if path != REFERENCE], ids=lambda path: path.name)
def test_no_page_has_two_versions_of_a_sentence(page: Path) -> None:
    assert list(twice(page.read_text())) == []


def test_two_versions_of_a_sentence_are_seen() -> None:
    one = "One process: `toweros run` (`contrib/toweros.service`). It can be stopped or lose power at any point."
    assert len(list(twice(f"{one}\n\n{one[:50]}, and beside it the update server.\n"))) == 1
    assert len(list(twice(f"The loop: it goes on.{one}\n{one}\n"))) == 1
    assert len(list(twice("| a | b |\n## Next\n"))) == 1
    assert list(twice(f"{one}\n\n    {one}\n    {one}\n\n## Next\n")) == []
