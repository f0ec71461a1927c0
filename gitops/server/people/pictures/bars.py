"""Bars beside each other's names. Pure.

bars("Bytes by day", [Bar("2026-11-29", 5e6, "5.0 MB")])
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gitops.server.people.pictures.svg import element, picture

WIDTH, LINE, NAME, SAID = 480, 22, 96, 100
MOST = 40
"""Bars of one picture."""


@dataclass(frozen=True)
class Bar:
    """`says`: its length in words."""

    name: str
    length: float
    says: str


def bars(title: str, rows: Sequence[Bar]) -> Markup:
    """The longest is as long as there is room. Nothing, without any."""
    rows = rows[:MOST]
    if not rows:
        return Markup()
    room, most = WIDTH - NAME - SAID, max(0.0, *(row.length for row in rows)) or 1.0
    parts: list[Markup] = []
    for place, row in enumerate(rows):
        y, long = place * LINE, max(row.length, 0.0) / most * room
        parts += [
            element("text", row.name, x=0, y=y + 15, class_="name"),
            element("rect", x=NAME, y=y + 4, width=max(long, 1.0), height=LINE - 8, class_="bar"),
            element("text", row.says, x=NAME + max(long, 1.0) + 6, y=y + 15, class_="says"),
        ]
    words = "; ".join(f"{row.name}: {row.says}" for row in rows)
    return picture(f"{title}: {words}", WIDTH, LINE * len(rows), parts)
