"""Every colour of text can be read on what it stands on, in both schemes: WCAG 2.2, 1.4.3 and 1.4.11."""

import re
from importlib.resources import files

import pytest

CSS = (files("gitops.server.people") / "static" / "toweros.css").read_text()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
)
TEXT = ("ink", "soft", "accent", "good", "busy", "bad", "dull", "warn")
GROUND = ("back", "card")
AA, EDGES = 4.5, 3.0


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_rule_is_that_of_the_recommendation() -> None:
    assert contrast("#000000", "#ffffff") == 21 and round(contrast("#767676", "#ffffff"), 2) == 4.54


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_edges_can_be_seen(scheme: dict[str, str]) -> None:
    low = {
        f"{name} on {ground}": round(contrast(scheme[name], scheme[ground]), 2)
        for name in (*TEXT, "edge")
        for ground in GROUND
        if contrast(scheme[name], scheme[ground]) < (EDGES if name == "edge" else AA)
    }
    assert low == {}


def test_both_schemes_name_the_same_colours_and_nothing_has_another() -> None:
    assert LIGHT.keys() == DARK.keys()
    rest = re.sub(r":root \{.*?\}", "", CSS, flags=re.S)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(", rest) == []


def test_what_moves_asks_first() -> None:
    moving = [part for part in re.findall(r"[^{}]*\{[^{}]*animation[^{}]*\}", CSS)]
    assert moving and CSS.count("animation") == len(re.findall(r"no-preference\) \{ [^}]*animation", CSS))
