"""How a box was over time, as one strip of colours. Pure.

strip([Span(1_790_000_000, "Healthy"), Span(1_790_003_600, "Degraded")], now)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gitops.review.words import lasted, moment
from gitops.server.people.pictures.svg import element, picture

WIDTH, HEIGHT = 640, 28


@dataclass(frozen=True)
class Span:
    """From a moment on (Unix seconds), until the next one."""

    time: int
    state: str


def strip(spans: Sequence[Span], now: int) -> Markup:
    """The oldest is left; colours come from the class, and each span says its state. Nothing, without any."""
    if not spans:
        return Markup()
    begins = spans[0].time
    whole = max(now - begins, 1)
    parts, words = list[Markup](), list[str]()
    for span, until in zip(spans, [*(each.time for each in spans[1:]), now], strict=True):
        long = max(until - span.time, 0)
        says = f"{span.state} from {moment(span.time)} for {lasted(long)}"
        place = {
            "x": (span.time - begins) / whole * WIDTH,
            "y": 2,
            "height": HEIGHT - 4,
            "class_": f"span {span.state}",
        }
        parts.append(element("rect", element("title", says), width=max(long / whole * WIDTH, 1.0), **place))
        words.append(says)
    return picture("States over time: " + "; ".join(words[-12:]), WIDTH, HEIGHT, parts)
