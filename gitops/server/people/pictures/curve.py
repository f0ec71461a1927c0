"""How a commit went through the fleet: how many boxes run it, and are well with it, over time. Pure.

curve(course, now)
"""

from collections.abc import Sequence

from markupsafe import Markup

from gitops.model.rollout.course import Course, Sample
from gitops.review.words import lasted
from gitops.server.people.pictures.svg import element, picture, points

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 200, 44, 24, 8
KINDS = ("offered", "running", "well", "trouble")


def curve(course: Course, now: int) -> Markup:
    """From its beginning to its end, or to now. Nothing, before there are samples."""
    samples = course.samples
    if not samples or not course.boxes:
        return Markup()
    ends = course.ended or max(now, samples[-1].time)
    span = max(ends - course.began, 1)

    def x(time: int) -> float:
        return LEFT + (WIDTH - LEFT - 4) * min(max((time - course.began) / span, 0.0), 1.0)

    def y(number: int) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(number / course.boxes, 1.0))

    lines = []
    for kind in KINDS:
        steps = _steps(samples, kind, ends)
        if kind != "trouble" or any(number for _, number in steps):
            places = points((x(time), y(number)) for time, number in steps)
            lines.append(element("polyline", points=places, class_=f"line {kind}", fill="none"))
    last = samples[-1]
    words = (
        f"after {lasted(span)} {last.well} of {course.boxes} boxes run it and are well, {last.trouble} are in trouble"
    )
    return picture(f"Rollout: {words}", WIDTH, HEIGHT, [*_axes(course, span), *lines])


def _steps(samples: Sequence[Sample], kind: str, ends: int) -> list[tuple[int, int]]:
    """What was true stays true until the next sample says otherwise."""
    steps: list[tuple[int, int]] = []
    for sample in samples:
        if steps:
            steps.append((sample.time, steps[-1][1]))
        steps.append((sample.time, getattr(sample, kind)))
    return [*steps, (ends, steps[-1][1])]


def _axes(course: Course, span: int) -> list[Markup]:
    bottom = HEIGHT - BOTTOM
    return [
        element("line", x1=LEFT, y1=bottom, x2=WIDTH - 4, y2=bottom, class_="axis"),
        element("line", x1=LEFT, y1=TOP, x2=LEFT, y2=bottom, class_="axis"),
        element("text", str(course.boxes), x=LEFT - 6, y=TOP + 8, class_="says", text_anchor="end"),
        element("text", "0", x=LEFT - 6, y=bottom, class_="says", text_anchor="end"),
        element("text", "0", x=LEFT, y=HEIGHT - 6, class_="says"),
        element("text", lasted(span), x=WIDTH - 4, y=HEIGHT - 6, class_="says", text_anchor="end"),
    ]
