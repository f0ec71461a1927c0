"""What stops a rollout, and at whose boxes: as the rules that keep the others waiting see it."""

from gitops.model import Box, Fleet, Health, Hold, HoldReason, Policy, Spec
from gitops.model.rollout.waves import Careful, Share, Steering, Wave
from gitops.rollout.careful import Before, Going
from gitops.rollout.counting.standing import How
from gitops.rollout.rules import Facts, decide
from gitops.rollout.stops import Stops, stops

NEW, FREE = {"a": "new", "b": "new", "c": "new"}, Steering()
BAD = Facts("new", "old", Health.HEALTHY, frozenset({"new"}))
SICK, LOST = Facts("new", "new", Health.DEGRADED), Facts("new", "old", Health.MISSING)
OLD = Facts("old", "old", Health.HEALTHY)
WAVE = Wave("lab", boxes=("a", "b"), failed=Share(1), missing=Share(1))


def found(holds: dict[str, Hold] | None = None, steering: Steering = FREE, most: int = 9, **facts: Facts) -> Stops:
    policy = Policy(max_failures=most, careful=Careful((WAVE,)))
    fleet = Fleet(policy, {}, {name: Box(name, "vm", Spec("kernel", "")) for name in "abc"})
    return stops(fleet, NEW, {**dict.fromkeys("abc", OLD), **facts}, holds or {}, steering)


def test_a_role_stops_with_the_failure_that_is_one_too_many_whoever_still_waits() -> None:
    assert found(most=2, c=BAD) == {}
    assert found(most=2, b=BAD, c=BAD) == {"role vm: 2 failed, 1 may be": {"b": How.FAILED, "c": How.FAILED}}
    assert list(found(most=1, a=BAD)) == ["role vm: 1 failed, 0 may be"]


def test_a_wave_stops_at_its_own_boxes_and_at_no_others() -> None:
    assert found(a=BAD, c=BAD) == {}
    assert found(a=BAD, b=BAD, c=BAD) == {"wave lab: 2 failed, 1 may be": {"a": How.FAILED, "b": How.FAILED}}
    assert list(found(a=SICK)) == ["wave lab: 1 Degraded, 0 may be"]
    assert found(a=LOST, c=SICK) == {}


def test_what_was_promoted_or_is_held_stops_nothing() -> None:
    assert found({"a": Hold(HoldReason.SUSPENDED, "ada: why")}, a=SICK) == {}
    careful = Careful((WAVE,))
    boxes = {name: Box(name, "vm", Spec("kernel", "")) for name in "abc"}
    facts = {**dict.fromkeys("abc", OLD), "a": SICK}
    decisions = decide(NEW, facts, dict.fromkeys("abc", "vm"), Policy(careful=careful))
    waves = Going(boxes, careful).settle(decisions, NEW, facts, Before(), 1.0).waves
    assert found(steering=Steering(promoted=frozenset({waves[0].content})), a=SICK) == {}
