"""Strict YAML: what is refused, where it is said to be, and what hypothesis finds out about the rest."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.errors import Problem
from gitops.fleet.documents.yaml import MAX_BYTES, MAX_DEPTH, MAX_NODES, Document, load


def read(text: str | bytes) -> tuple[Document | None, list[Problem]]:
    problems: list[Problem] = []
    return load(text if isinstance(text, bytes) else text.encode(), "f.yaml", problems), problems


def test_values_and_where_they_stand() -> None:
    document, problems = read("a: 1\nb:\n  - c: x\n  - [no, 12:30, 0o17, 1.5, ~, '', \"2\"]\n")
    assert not problems and document
    assert document.value == {"a": 1, "b": [{"c": "x"}, ["no", "12:30", 15, 1.5, None, "", "2"]]}
    assert document.mark(("b", 0, "c")) == (3, 8)
    assert document.mark(("b", 0, "c"), key=True) == (3, 5)
    assert document.mark(("b", 0, "absent", "deeper")) == (3, 5)
    assert document.part(("b", 0), None).mark(("c",)) == (3, 8)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: 1\na: 2\n", (2, 1), "duplicate key `a`"),
        ("a: {b: 1, 'b': 2}\n", (1, 11), "duplicate key `b`"),
        ("a: &x 1\n", (1, 4), "anchor &x"),
        ("a: 1\nb: *a\n", (2, 4), "alias *a"),
        ("a: !!str 1\n", (1, 4), "tag"),
        ("a: !python/object:os.system x\n", (1, 4), "tag"),
        ("<<: {a: 1}\n", (1, 1), "merge key"),
        ("? [a]\n: b\n", (1, 3), "a key that is no string"),
        ("a: 1\n---\nb: 2\n", (2, 1), "a second document"),
        ("%YAML 1.2\n---\na: 1\n", (1, 1), "directive"),
        ('a: "\\u0007"\n', (1, 4), "control character U+0007"),
        ('a: "\\u202e"\n', (1, 4), "control character U+202E"),
        ("a: 0644\n", (1, 4), "octal or decimal"),
        ("a: " + "9" * 40, (1, 4), "too large"),
        ("a:\n  b: [1,\n", (3, 1), "not YAML"),
        ("a: b: c\n", (1, 5), "not YAML"),
        (b"a: 1\nbc: \xff\n", (2, 5), "not UTF-8"),
        (b"a: 1\x00", (1, 1), "not YAML"),
        ("[" * (MAX_DEPTH + 2), (1, MAX_DEPTH + 2), "too much"),
        ("[" + "1," * MAX_NODES + "]", (1, 2 * MAX_NODES), "too much"),
        (b"#" * (MAX_BYTES + 1), (1, 1), "too many"),
    ],
)
def test_what_is_refused(text: str | bytes, place: tuple[int, int], said: str) -> None:
    document, problems = read(text)
    assert document is None
    assert said in problems[0].message and problems[0].hint
    assert (problems[0].line, problems[0].column) == place


def test_every_mistake_is_said_in_one_run() -> None:
    _, problems = read("a: &x 1\nb: *x\nb: 2\nc: !t 3\n")
    assert [problem.line for problem in problems] == [1, 2, 3, 4]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**16), 10**16)
    | st.text(st.characters(exclude_categories=["C"]), max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc-1", min_size=1), inner, max_size=4),
)


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read(value: object) -> None:
    document, problems = read(json.dumps(value, ensure_ascii=False))
    assert not problems and document and document.value == value
    block = yaml.safe_dump(value, allow_unicode=True, default_style='"')
    if "!!" not in block:
        document, problems = read(block)
        assert not problems and document and document.value == value


@settings(deadline=None, max_examples=300)
@given(st.text("ab:- \n[]{}&*!#'\"|>%?,0\t\\", max_size=40) | st.binary(max_size=40))
def test_nothing_breaks_the_reader(text: str | bytes) -> None:
    document, problems = read(text)
    assert (document is None) == bool(problems)
    for problem in problems:
        assert problem.file == "f.yaml" and problem.line >= 1 and problem.message
