"""Pictures are well-formed, say in words what they show, and hold nothing that anybody could smuggle in."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.model.rollout.course import MOST, Course, Sample
from gitops.server.people.pictures.bars import Bar, bars
from gitops.server.people.pictures.curve import WIDTH, curve
from gitops.server.people.pictures.strip import Span, strip

NUMBERS = st.integers(0, 1 << 40)
SAMPLES = st.builds(Sample, NUMBERS, *[st.integers(0, 20_000)] * 4)


def parts(picture: str, name: str) -> list[ET.Element]:
    return list(ET.fromstring(picture).iter(name))


def test_a_curve_has_steps_and_its_end_in_words() -> None:
    course = Course("r", 10, 100, 0, (Sample(100, 5, 0, 0, 0), Sample(160, 10, 8, 4, 1)))
    picture = curve(course, 220)
    lines = {each.get("class"): each.get("points") for each in parts(picture, "polyline")}
    assert lines.keys() == {"line offered", "line running", "line well", "line trouble"}
    assert lines["line well"] == "44.0,176.0 340.0,176.0 340.0,108.8 636.0,108.8"
    assert "after 2 min 4 of 10 boxes run it and are well, 1 are in trouble" in picture
    assert "line trouble" not in curve(Course("r", 1, 1, 0, (Sample(1, 1, 1, 1, 0),)), 2)
    assert curve(Course("r", 0, 1), 2) == curve(Course("r", 5, 1), 2) == ""


@settings(max_examples=100, deadline=None)
@given(st.builds(Course, st.just("r"), st.integers(0, 20_000), NUMBERS, NUMBERS,
                 st.lists(SAMPLES, max_size=20).map(tuple)), NUMBERS)  # fmt: skip
def test_a_clock_that_jumped_draws_nothing_outside(course: Course, now: int) -> None:
    if picture := curve(course, now):
        for line in parts(picture, "polyline"):
            xs, ys = zip(*(map(float, pair.split(",")) for pair in (line.get("points") or "").split()), strict=True)
            assert min(xs) >= 0 and max(xs) <= WIDTH and min(ys) >= 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.builds(Span, NUMBERS, st.text(max_size=30)), max_size=80), NUMBERS)
def test_states_of_any_name_and_order_are_a_picture(spans: list[Span], now: int) -> None:
    spans.sort(key=lambda span: span.time)
    if picture := strip(spans, now):
        assert len(parts(picture, "rect")) == len(spans)


@pytest.mark.parametrize("name", ["<script>", "\x00\x1b", "\u202e", '" onload="x', "]]>"])
def test_names_are_text(name: str) -> None:
    picture = bars("t", [Bar(name, 1.0, name), Bar("", 0.0, "")])
    assert "<script" not in picture and ' onload="' not in picture
    assert len(parts(picture, "rect")) == 2


def test_a_course_keeps_its_shape_within_its_bound() -> None:
    course = Course("r", 1000, 0)
    for number in range(3000):
        course = course.add(Sample(number, 1000, number // 3, number // 3, 0))
        assert len(course.samples) <= MOST
    assert course.samples[0].time == 0 and course.ended == 0 and course.until(0.5) is not None
    done = course.add(Sample(3003, 1000, 1000, 1000, 0))
    assert done.ended == 3003 and done.until(1) == 3003 and done.add(Sample(4000, 1000, 1, 1, 9)) is done
    assert course.add(Sample(9999, 1000, 999, 999, 0)) is course, "nothing new"
