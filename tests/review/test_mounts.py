"""What a box's initrd cannot mount is said in the plan and by `validate`, with the number, the file and the line."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitops.fleet import load_fleet
from gitops.model import Image, Revision
from gitops.review.markdown import markdown
from gitops.review.mounts import SAID, Mounts
from gitops.review.text import render
from gitops.store import Store
from gitops.workflows.preview import Question, preview
from tests.kit.fleets import BOOT, TREE, package
from tests.simulators.tree import DictTree

REVISION = Revision("topic", "bb" * 20, 7, 1_790_000_100)
SAYS_500 = {SAID: "500\n"}


def chain(length: int) -> dict[str, str]:
    """Packages that stand on one another; the last is `pkg/deep`."""
    names = [f"pkg/c{number:03}" for number in range(1, length)] + ["pkg/deep"]
    files = package(names[0])
    for below, name in itertools.pairwise(names):
        files |= package(name, below)
    return files


def deep(length: int, said: Mapping[str, str] = {}) -> DictTree:
    boot = BOOT + '  - {name: deep, image: "@pkg:../pkg/deep"}\n'
    return TREE.with_files({**chain(length), "boot/a.yml": boot, **said})


@pytest.mark.parametrize(("length", "said", "mounts"), [(62, {}, 62), (63, SAYS_500, 500), (100, SAYS_500, 500)])
def test_what_the_initrd_mounts_is_no_mistake(length: int, said: Mapping[str, str], mounts: int) -> None:
    tree = deep(length, said)
    fleet = load_fleet(tree)
    assert [problem for box in fleet.boxes.values() for problem in Mounts(tree, fleet).crowded(box)] == []


def test_one_layer_more_is_named_with_its_box_file_and_line() -> None:
    tree = deep(63)
    fleet = load_fleet(tree)
    problem, *more = Mounts(tree, fleet).crowded(next(iter(fleet.boxes.values())))
    line = tree.read("boot/a.yml").decode().splitlines()[problem.line - 1]
    assert problem.file == "boot/a.yml" and "deep" in line and not more
    assert "services.deep has 63 layers, and a box can mount 62" in problem.message
    assert "toweros upgrade" in problem.hint


def test_the_plan_and_the_comment_say_it_of_every_box() -> None:
    summary = preview(Question(None, (REVISION, deep(63))), None)
    assert [group.fits for group in summary.groups] == [False] and len(summary.groups[0].boxes) == 3
    for text in (render(summary), markdown(summary)):
        assert "services.deep has 63 layers, and a box can mount 62" in text and "boot/a.yml:" in text


def test_an_image_that_is_built_counts_as_it_is(tmp_path: Path) -> None:
    """Its base may come from elsewhere, with layers of its own."""
    tree = deep(2)
    fleet, store = load_fleet(tree), Store.open(tmp_path / "store")
    built = fleet.packages["pkg/deep"]
    with store.lease.held():
        store.builds.save_image(Image(built.tag, built.key, {}, tuple(f"{number:064x}" for number in range(90))))
    summary = preview(Question(None, (REVISION, tree)), store)
    assert "services.deep has 90 layers, and a box can mount 62" in render(summary)


def test_a_number_that_is_none_is_named() -> None:
    tree = deep(2, {SAID: "as many as you like\n"})
    fleet = load_fleet(tree)
    (problem,) = Mounts(tree, fleet).crowded(next(iter(fleet.boxes.values())))
    assert (problem.file, problem.line) == (SAID, 1) and "is no number" in problem.message
