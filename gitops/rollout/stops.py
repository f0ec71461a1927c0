"""What stopped a rollout: roles and waves with more trouble than they may have, and the boxes that have it. Pure.

In: what every box is wanted to run, how it is, what holds it. Out: what stopped -> box -> how it is. Rules: those of
`rules` and `careful`, of boxes that are heard, whoever still waits: a rollout that reached its last box stops, too.

    stops(fleet, {"a": digest}, {"a": Facts(failed=frozenset({digest}))}, {}, Steering())
    # {"role vm: 1 failed, 0 may be": {"a": How.FAILED}}
"""

from collections.abc import Mapping

from gitops.model import Fleet, Hold
from gitops.model.rollout.waves import Steering
from gitops.rollout.careful import Going
from gitops.rollout.counting.standing import How
from gitops.rollout.rules import NOBODY, Facts

Stops = dict[str, dict[str, How]]


def stops(
    fleet: Fleet, wanted: Mapping[str, str], facts: Mapping[str, Facts], holds: Mapping[str, Hold], steering: Steering
) -> Stops:
    """All of it; empty: the rollout goes on. `wanted`: of boxes of the fleet alone."""
    waves = Going(fleet.boxes, fleet.policy.careful).stopped(holds, wanted, facts, steering)
    return {**_roles(fleet, wanted, facts), **waves}


def _roles(fleet: Fleet, wanted: Mapping[str, str], facts: Mapping[str, Facts]) -> Stops:
    failed: dict[str, dict[str, How]] = {}
    for box, content in wanted.items():
        if content in facts.get(box, NOBODY).failed:
            failed.setdefault(fleet.boxes[box].role, {})[box] = How.FAILED
    most = fleet.policy.max_failures
    return {
        f"role {role}: {len(boxes)} {How.FAILED}, {most - 1} may be": boxes
        for role, boxes in sorted(failed.items())
        if len(boxes) >= most
    }
