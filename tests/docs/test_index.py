"""Whoever looks for a page finds it: docs/README.md has every one, once, and the first page few."""

import re

from tests.kit.docs import CHECKOUT, DOCS

FIRST = 12
"""Rows that somebody new reads."""


def test_every_page_is_in_the_index_once() -> None:
    linked = re.findall(r"\]\(([a-z0-9-]+\.md)\)", (DOCS / "README.md").read_text())
    assert sorted(linked) == sorted(path.name for path in DOCS.glob("*.md") if path.name != "README.md")


def test_the_first_page_has_few_links_and_the_index_among_them() -> None:
    after = (CHECKOUT / "README.md").read_text().partition("## Where to go next")[2]
    rows = re.findall(r"^\| .* \| (.*) \|$", after, re.M)
    assert len(rows) <= FIRST and any("docs/README.md" in row for row in rows)
