"""A pattern of release tags that no version fits is told, in `validate` and in the plan, and stops nothing."""

import itertools

import pytest

from gitops.fleet import load_fleet, rule_warnings
from gitops.model import Revision
from gitops.model.paths.releases import room
from gitops.review.text import render
from gitops.source.trust.releases import fits
from gitops.source.versions import version
from gitops.workflows.preview import Question, preview
from tests.kit.fleets import TREE
from tests.simulators.tree import DictTree

OLD, NEW = Revision("main", "aa" * 20, 6, 1_790_000_000), Revision("topic", "bb" * 20, 7, 1_790_000_100)

FITTING = {
    "v*": "v1.0.0",
    "*": "1.0.0",
    "v?.?.?": "v1.2.3",
    "v[0-9].*": "v1.2.3",
    "gsm900/v*": "gsm900/v1.0.0",
    "v1.*": "v1.0.0",
    "v1.*.7": "v1.0.7",
    "*-rc.[1-9]": "v1.0.0-rc.1",
    "*+b": "v1.0.0+b",
    "[!a-u]*": "v1.0.0",
    "v2024.*": "v2024.1.0",
    "site2/*": "site2/v1.0.0",
    "v1.2.3": "v1.2.3",
    "[]v]*": "v1.0.0",
    "*0": "v1.0.0",
    "v1.2.3-0a": "v1.2.3-0a",
    "release-*": "release-1.0.0",
    "ü*": "ü1.0.0",
    "site2-v*": "site2-v/v1.0.0",
    "v1*.2.3.4": "v1/v.2.3.4",
}


@pytest.mark.parametrize(("pattern", "name"), FITTING.items(), ids=FITTING)
def test_a_pattern_that_a_version_fits_is_none_to_warn_of(pattern: str, name: str) -> None:
    assert fits(name, pattern) and version(name), "the example is one"
    assert room(pattern)


NEVER = ["release-only", "v", "v1", "v1.2", "v1.2.*.x_y", "v01.2.3", "gsm900-v*_a", "*/", "approved/*", ""]
NEVER += [
    "v1.2.3-01",
    "v1.2.3-",
    "v1.2.3+",
    "site2-v[0-9].0.0",
    "?",
    "[0-9]",
    "[!0-9]",
    "v1.2.3+a+b",
    "v1.02.3",
    "a2b?.1.1",
]


@pytest.mark.parametrize("pattern", NEVER)
def test_a_pattern_that_no_version_fits_is_told(pattern: str) -> None:
    assert not room(pattern)


def test_the_answer_is_that_of_the_versions_themselves() -> None:
    """All patterns and names of a few letters: whatever fits by trying fits by walking."""
    names = ["".join(letters) for length in range(5, 8) for letters in itertools.product("1.0v", repeat=length)]
    released = [name for name in names if version(name)]
    for letters in itertools.product("v1.*?", repeat=4):
        pattern = "".join(letters)
        if any(fits(name, pattern) for name in released):
            assert room(pattern), pattern


def test_a_long_pattern_costs_little() -> None:
    assert not room("*?" * 100_000 + "_") and not room("*?" * 250 + "_")


def tagged(pattern: str) -> DictTree:
    return TREE.with_files({"fleet.yaml": f'source: {{tags: "{pattern}", sign: none}}\n'})


def test_the_warning_is_in_validate_and_in_the_plan() -> None:
    (said,) = rule_warnings(tagged("release-only"))
    assert "`release-only`" in said and "no release could ever deploy" in said
    assert rule_warnings(tagged("v*")) == []
    load_fleet(tagged("release-only"))
    text = render(preview(Question((OLD, TREE), (NEW, tagged("release-only"))), None))
    assert "no release could ever deploy" in text
