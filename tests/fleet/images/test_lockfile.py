"""images.lock: it says digests and nothing else, and what is no line of it is named with its place."""

import pytest

from gitops.fleet.images.lockfile import HEADER, MAX_BYTES, dump, mistakes, pins
from tests.simulators.tree import DictTree

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def test_what_is_written_is_read_again() -> None:
    rows = {"web.example:5000/a/nginx:1.27": A, f"redis:7@{B}": A, "localhost:5000/x:latest": B}
    tree = DictTree({"images.lock": dump(rows).decode()})
    assert pins(tree) == rows and mistakes(tree) == ()
    assert dump(rows).decode().splitlines()[0] == HEADER
    assert pins(DictTree({"images.lock": ""})) == pins(DictTree({})) == {}, "a lock that was taken back to nothing"


@pytest.mark.parametrize(
    "line",
    [
        f"nginx {A}",
        f"nginx@{B} {A}",
        "nginx:1.27 latest",
        f"nginx:1.27 {A} --privileged",
        f"nginx:1.27  {A}",
        f"-nginx:1.27 {A}",
        f"nginx:1.27 {A.upper()}",
        f"nginx:1.27\r {A}",
        "# whatever else",
    ],
)
def test_what_is_no_line_is_named_with_its_place_and_the_fix(line: str) -> None:
    (problem,) = mistakes(DictTree({"images.lock": f"{HEADER}\n{line}\n"}))
    assert str(problem).startswith("images.lock:2:1: not a line of a lock") and "`toweros lock images.lock`" in str(
        problem
    )


def test_one_tag_means_one_thing_and_the_file_is_bounded() -> None:
    (problem,) = mistakes(DictTree({"images.lock": f"nginx:1 {A}\nnginx:1 {B}\n"}))
    assert str(problem).startswith("images.lock:2:1: two lines say what `nginx:1` means")
    (problem,) = mistakes(DictTree({"images.lock": "\n" * (MAX_BYTES + 1)}))
    assert "too many" in problem.message
