"""Canaries first, and a bad content stops where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model import Health, Policy
from gitops.rollout.rules import Decision, Facts, decide

OLD = Facts("old", "old", Health.HEALTHY)
TAKING = Facts("new", "old", Health.HEALTHY)
TRYING = Facts("new", "new", Health.PROGRESSING)
GOOD = Facts("new", "new", Health.HEALTHY)
BAD = Facts("new", "old", Health.HEALTHY, frozenset({"new"}))


def both(a: Facts, b: Facts, **policy: object) -> dict[str, Decision]:
    wanted = {"a": "new", "b": "new"}
    return decide(wanted, {"a": a, "b": b}, {"a": "site", "b": "site"}, Policy(**policy))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "taken", "reason"),
    [
        (OLD, OLD, {"a": True, "b": False}, "waits for canary a: Healthy"),
        (TAKING, OLD, {"a": True, "b": False}, "waits for canary a"),
        (TRYING, OLD, {"a": True, "b": False}, "waits for canary a: Progressing"),
        (GOOD, OLD, {"a": True, "b": True}, "canaries are Healthy"),
        (BAD, OLD, {"a": True, "b": False}, "stopped: failed on a"),
        (OLD, TRYING, {"a": False, "b": True}, "offered already"),
        (GOOD, Facts(), {"a": True, "b": True}, "first release"),
        (BAD, Facts(), {"a": True, "b": False}, "stopped: failed on a"),
    ],
)
def test_two_boxes_of_one_role(a: Facts, b: Facts, taken: dict[str, bool], reason: str) -> None:
    decisions = both(a, b)
    assert {box: decision.take for box, decision in decisions.items()} == taken
    assert reason in decisions["b"].reason


def test_a_box_alone_in_its_role_is_its_own_canary() -> None:
    decisions = decide({"a": "new", "b": "new"}, {"a": OLD, "b": OLD}, {"a": "one", "b": "two"}, Policy())
    assert [decision.reason for decision in decisions.values()] == ["canary", "canary"]


def test_held_boxes_take_nothing_and_are_no_canaries() -> None:
    wanted, roles = {"a": "new", "b": "new"}, {"a": "site", "b": "site"}
    decisions = decide(wanted, {"a": OLD, "b": OLD}, roles, Policy(), {"a": "ada: repairs"})
    assert decisions == {"a": Decision(False, "held: ada: repairs"), "b": Decision(True, "canary")}
    everything = decide(wanted, {"a": GOOD, "b": OLD}, roles, Policy(), dict.fromkeys("ab", "christmas"))
    assert not any(decision.take for decision in everything.values())


def test_a_silent_box_is_no_canary_while_another_can_be() -> None:
    silent = Facts("old", "old", Health.MISSING)
    decisions = both(silent, OLD)
    assert decisions["b"] == Decision(True, "canary") and not decisions["a"].take


def test_a_canary_that_falls_silent_with_the_new_content_stops_the_others() -> None:
    decisions = both(Facts("new", "old", Health.MISSING), OLD)
    assert decisions["b"] == Decision(False, "waits for canary a: Missing")


def test_a_second_failure_is_allowed_when_the_policy_says_so() -> None:
    assert both(OLD, BAD, max_failures=2, canaries=2)["a"].take
    assert not both(OLD, BAD, max_failures=1, canaries=2)["a"].take


@given(
    canaries=st.integers(1, 3),
    boxes=st.integers(1, 6),
    steps=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["try", "good", "bad"])), max_size=30),
)
def test_never_more_boxes_at_risk_than_canaries_before_one_is_healthy(
    canaries: int, boxes: int, steps: list[tuple[int, str]]
) -> None:
    names = [f"box-{number}" for number in range(boxes)]
    facts = dict.fromkeys(names, OLD)
    wanted, roles = dict.fromkeys(names, "new"), dict.fromkeys(names, "site")
    proven = False
    for number, event in [*steps, (0, "try")]:
        for box, decision in decide(wanted, facts, roles, Policy(canaries=canaries)).items():
            if decision.take and facts[box].published != "new":
                facts[box] = TAKING
        proven = proven or GOOD in facts.values()
        if not proven:
            assert sum(known.published == "new" for known in facts.values()) <= canaries
        box = names[number % boxes]
        if facts[box].published == "new":
            facts[box] = {"try": TRYING, "good": GOOD, "bad": BAD}[event]
