"""Whoever looks for a page finds it: docs/README.md has every one, once, and the first page few."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.kit.docs import CHECKOUT, DOCS, documents

FIRST = 12
"""Rows that somebody new reads."""


def test_every_page_is_in_the_index_once() -> None:
    linked = re.findall(r"\]\(([a-z0-9-]+\.md)\)", (DOCS / "README.md").read_text())
    assert sorted(linked) == sorted(path.name for path in DOCS.glob("*.md") if path.name != "README.md")


def test_the_first_page_has_few_links_and_the_index_among_them() -> None:
    after = (CHECKOUT / "README.md").read_text().partition("## Where to go next")[2]
    rows = re.findall(r"^\| .* \| (.*) \|$", after, re.M)
    assert len(rows) <= FIRST and any("docs/README.md" in row for row in rows)


def test_every_link_into_a_page_leads_to_a_heading_of_it() -> None:
    lost = []
    for page in [*documents(), CHECKOUT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", page.read_text()):
            place, _, anchor = link.partition("#")
            target = (page.parent / place).resolve() if place else page
            if "://" not in link and target.suffix == ".md" and anchor not in {*anchors(target)}:
                lost.append(f"{page.relative_to(CHECKOUT)}: {link}")
    assert lost == []


def anchors(page: Path) -> Iterator[str]:
    """As the forges make them of headings."""
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^a-z0-9_ -]", "", words).replace(" ", "-")
