"""Elements of SVG. Pure.

In: names, attributes, texts. Out: text, safe to put into a page whatever it is made of: whoever makes a picture never
writes markup by hand. Rules: a picture has a title, which is read aloud; numbers have one decimal.

    picture("Rollout", 320, 80, [element("line", x1=0, y1=0, x2=9.5, y2=9, class_="axis")])
"""

from collections.abc import Iterable
from html import escape

from markupsafe import Markup


def element(name: str, *inside: str, **attributes: object) -> Markup:
    """`class_` is `class`, `stroke_width` is `stroke-width`. Texts inside are escaped, elements are not."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    content = "".join(each if isinstance(each, Markup) else _text(each) for each in inside)
    return Markup(f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>")  # noqa: S704


def picture(title: str, width: int, height: int, parts: Iterable[Markup]) -> Markup:
    """The whole, as wide as there is room, and never wider than it is."""
    return element(
        "svg", element("title", title), *parts, class_="picture", role="img", aria_label=title,
        viewBox=f"0 0 {width} {height}", width=width, height=height,
    )  # fmt: skip


def points(pairs: Iterable[tuple[float, float]]) -> str:
    """For a polyline."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _value(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else _text(str(value))


def _text(text: str) -> str:
    """XML has no words for control characters."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))
