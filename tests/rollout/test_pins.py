"""Which commit a box is made of: properties, over every history of some commits, pins and floors."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitops.errors import TowerosError
from gitops.rollout.pins import aim, has_passed, in_order

LAST = 12
commits = st.integers(0, LAST)


def name(number: int) -> str:
    return f"c{number:02}"


def holds(commit: str, other: str) -> bool:
    """A history in one line."""
    return commit >= other


def walk(at: int, pin: str, floors: set[str]) -> list[str]:
    """What a box runs, one after the other, when it is Healthy on all of it; it stops where it has nothing to take."""
    ran, passed = [name(at)], set[str]()
    for _ in range(2 * LAST):
        passed |= {floor for floor in floors if has_passed(floor, ran[-1], settled=True, holds=holds)}
        if (to := aim(pin, floors, passed=passed, holds=holds, head=name(LAST))) == ran[-1]:
            return ran
        ran.append(to)
    raise AssertionError(ran)


@given(at=commits, floors=st.sets(commits.map(name), max_size=5))
@settings(max_examples=200)
def test_every_floor_after_where_it_was_is_run_in_order_and_the_newest_in_the_end(at: int, floors: set[str]) -> None:
    ran = walk(at, "", floors)
    assert ran[1:-1] == sorted(floor for floor in floors if name(at) < floor < name(LAST))
    assert ran[-1] == name(LAST)


@given(at=commits, pin=commits, floors=st.sets(commits.map(name), max_size=5))
@settings(max_examples=200)
def test_a_pin_is_where_it_ends_unless_a_floor_is_between(at: int, pin: int, floors: set[str]) -> None:
    below = any(name(pin) < floor <= name(at) for floor in floors)
    if below:
        with pytest.raises(TowerosError, match="below the floor"):
            walk(at, name(pin), floors)
        return
    ran = walk(at, name(pin), floors)
    assert ran[-1] == name(pin)
    assert ran[1:-1] == sorted(floor for floor in floors if name(at) < floor < name(pin))


def test_who_is_ill_on_a_floor_has_not_passed_it() -> None:
    assert not has_passed("c05", "c05", settled=False, holds=holds)
    assert has_passed("c05", "c06", settled=False, holds=holds), "it ran something later"
    assert not has_passed("c05", "", settled=True, holds=holds)


def test_of_two_branches_both_are_on_the_way() -> None:
    """Two floors that have nothing to do with each other, merged since."""
    history = {"m": {"m", "a", "b"}, "a": {"a"}, "b": {"b"}}

    def merged(commit: str, other: str) -> bool:
        return other in history[commit]

    assert in_order(["b", "a"], merged) == ["a", "b"]
    assert aim("", ["b", "a"], passed=(), holds=merged, head="m") == "a"
    assert aim("", ["b", "a"], passed={"a"}, holds=merged, head="m") == "b"
    assert aim("", ["b", "a"], passed={"a", "b"}, holds=merged, head="m") == "m"


parents = st.lists(st.integers(0, 63), min_size=1, max_size=8)
"""Of each commit, as bits: which of those before it."""


@given(parents=parents, names=st.permutations("abcdefgh"))
@example(parents=[0, 0, 1], names=["c", "b", "a", *"defgh"])
@settings(max_examples=200)
def test_no_floor_comes_before_one_in_its_history_whatever_they_are_called(
    parents: list[int], names: list[str]
) -> None:
    """Commits that have nothing to do with each other are in between by name: an order by pairs would be a circle."""
    history = dict[str, set[str]]()
    for at, bits in enumerate(parents):
        known = [history[names[each]] for each in range(at) if bits >> each & 1]
        history[names[at]] = {names[at]}.union(*known)

    def after(commit: str, other: str) -> bool:
        return other in history[commit]

    found = in_order(history, after)
    assert sorted(found) == sorted(history)
    assert not [each for at, each in enumerate(found) if history[each] & {*found[at + 1 :]}]
    assert in_order(reversed(found), after) == found
