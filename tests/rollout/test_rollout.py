"""Canaries first, and a bad content stops where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model import BoxState, Health, Hold, HoldReason, Policy, Version
from gitops.rollout.rules import Decision, Facts, Take, decide

OLD = Facts("old", "old", Health.HEALTHY)
TAKING = Facts("new", "old", Health.HEALTHY)
TRYING = Facts("new", "new", Health.PROGRESSING)
WAITS = HoldReason.WAITS_FOR_CANARY
GOOD = Facts("new", "new", Health.HEALTHY)
BAD = Facts("new", "old", Health.HEALTHY, frozenset({"new"}))


def both(a: Facts, b: Facts, **policy: object) -> dict[str, Decision]:
    wanted = {"a": "new", "b": "new"}
    return decide(wanted, {"a": a, "b": b}, {"a": "site", "b": "site"}, Policy(**policy))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "decisions"),
    [
        (OLD, OLD, (Take.CANARY, Hold(WAITS, "a: Healthy"))),
        (TAKING, OLD, (Take.OFFERED, Hold(WAITS, "a: Healthy"))),
        (TRYING, OLD, (Take.OFFERED, Hold(WAITS, "a: Progressing"))),
        (GOOD, OLD, (Take.OFFERED, Take.PROVEN)),
        (BAD, OLD, (Take.OFFERED, Hold(HoldReason.STOPPED, "a"))),
        (OLD, TRYING, (Hold(WAITS, "b: Progressing"), Take.OFFERED)),
        (GOOD, Facts(), (Take.OFFERED, Take.FIRST)),
        (BAD, Facts(), (Take.OFFERED, Hold(HoldReason.STOPPED, "a"))),
    ],
)
def test_two_boxes_of_one_role(a: Facts, b: Facts, decisions: tuple[Decision, Decision]) -> None:
    assert both(a, b) == dict(zip("ab", decisions, strict=True))


def test_a_box_alone_in_its_role_is_its_own_canary() -> None:
    decisions = decide({"a": "new", "b": "new"}, {"a": OLD, "b": OLD}, {"a": "one", "b": "two"}, Policy())
    assert [*decisions.values()] == [Take.CANARY, Take.CANARY]


def test_held_boxes_take_nothing_and_are_no_canaries() -> None:
    wanted, roles = {"a": "new", "b": "new"}, {"a": "site", "b": "site"}
    decisions = decide(wanted, {"a": OLD, "b": OLD}, roles, Policy(), {"a": "ada: repairs"})
    assert decisions == {"a": Hold(HoldReason.SUSPENDED, "ada: repairs"), "b": Take.CANARY}
    everything = decide(wanted, {"a": GOOD, "b": OLD}, roles, Policy(), dict.fromkeys("ab", "christmas"))
    assert everything == dict.fromkeys("ab", Hold(HoldReason.SUSPENDED, "christmas"))


def test_a_silent_box_is_no_canary_while_another_can_be() -> None:
    silent = Facts("old", "old", Health.MISSING)
    decisions = both(silent, OLD)
    assert decisions == {"a": Hold(WAITS, "b: Healthy"), "b": Take.CANARY}


def test_a_box_that_never_ran_anything_goes_after_one_that_did() -> None:
    assert both(Facts("old"), OLD) == {"a": Hold(WAITS, "b: Healthy"), "b": Take.CANARY}


def test_the_facts_are_what_the_box_is_offered_runs_and_failed() -> None:
    offered, runs = Version("r8", "c8", "main", 8), Version("r7", "c7", "main", 7)
    state = BoxState("a", 1, 0, offered, running=runs, received=50, reported=Health.HEALTHY, failed=frozenset({"c6"}))
    assert Facts.of(state, 60) == Facts("c8", "c7", Health.HEALTHY, frozenset({"c6"}))
    assert Facts.of(state, 1 << 40).health == Health.MISSING and Facts.of(BoxState("b"), 60) == Facts()


def test_a_canary_that_falls_silent_with_the_new_content_stops_the_others() -> None:
    decisions = both(Facts("new", "old", Health.MISSING), OLD)
    assert decisions["b"] == Hold(WAITS, "a: Missing")


def test_a_second_failure_is_allowed_when_the_policy_says_so() -> None:
    assert both(OLD, BAD, max_failures=2, canaries=2)["a"] == Take.CANARY
    assert both(OLD, BAD, max_failures=1, canaries=2)["a"] == Hold(HoldReason.STOPPED, "b")


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
            if isinstance(decision, Take) and facts[box].published != "new":
                facts[box] = TAKING
        proven = proven or GOOD in facts.values()
        if not proven:
            assert sum(known.published == "new" for known in facts.values()) <= canaries
        box = names[number % boxes]
        if facts[box].published == "new":
            facts[box] = {"try": TRYING, "good": GOOD, "bad": BAD}[event]


@pytest.mark.parametrize(
    ("hold", "text"),
    [
        (Hold(HoldReason.SUSPENDED, "ada: disk"), "held: ada: disk"),
        (Hold(WAITS, "a: Missing"), "waits for canary a: Missing"),
        (Hold(HoldReason.STOPPED, "a, b"), "stopped: failed on a, b"),
        (Hold(HoldReason.CANNOT_BE_OFFERED, "why"), "cannot be offered: why"),
        (Hold(HoldReason.REMOVED), "Git no longer has it"),
    ],
)
def test_a_hold_says_why(hold: Hold, text: str) -> None:
    assert str(hold) == text
