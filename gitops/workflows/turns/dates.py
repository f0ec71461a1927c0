"""When the boxes that a plan changes would go, by the clock of now: the rules, lived through in a moment.

In: the fleet at the head, who gets a release, the time, the floors where boxes stop first. Out: lines for people, one
for each wave, and when it would be done. Rules: everybody is taken for Healthy, nobody fails, and each needs a quarter
of an hour; who does not go within `AHEAD` days is named with what keeps him; in a large fleet so much is worked out as
`BUDGET` allows, and the rest is counted in batches (`about`).

    dates(fleet, {"demo-1", "demo-2"}, now)     # ("lab: 1 box: 2026-12-01 01:00 UTC", "done: 2026-12-02 01:15 UTC")
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from gitops.model import Fleet
from gitops.model.rollout.windows import calendar
from gitops.rollout.careful import Going
from gitops.rollout.simulating.boxes import Habits
from gitops.rollout.simulating.simulator import DAY, Commit, simulate
from gitops.workflows.turns.stopovers import Stopovers

AHEAD = 60
BUDGET, LEAST = 300_000, 6
"""Boxes times looks of the simulator that are worked out, and looks at least."""
SHOWN = 3
HABITS = Habits(spread=0, leases=False)
"""Boxes that began together are ready together: a look for each batch."""
NOWHERE = Stopovers()


def dates(fleet: Fleet, touched: Collection[str], now: int, stops: Stopovers = NOWHERE) -> tuple[str, ...]:
    """`now`: Unix seconds. Nothing for nobody."""
    if not touched:
        return ()
    looks = max(BUDGET // len(fleet.boxes), LEAST)
    floors = [
        Commit(0, name, (boxes := frozenset(box for box, names in stops.boxes.items() if name in names)), floor=boxes)
        for name in stops.order
    ]
    commits = [*floors, Commit(0, "head", frozenset(touched))]
    run = simulate(fleet.boxes, fleet.policy, commits, replace(HABITS, looks=looks), begins=now, days=AHEAD)
    going, times = Going(fleet.boxes, fleet.policy.careful), defaultdict[int, list[int]](list)
    for time, box in run.offers:
        times[going.wave[box]].append(now + time)
    went = Counter(box for _, box in run.offers)
    left = sorted(box for box in touched if went[box] <= len(stops.boxes.get(box, ())))
    several = len(going.waves) > 1
    spans = [f"{going.waves[wave].name}: {_span(found)}" for wave, found in sorted(times.items()) if several]
    if left and times and run.looks >= looks:
        return (*spans, _about(fleet, times[max(times)], left, len(touched), now + AHEAD * DAY))
    if left:
        why = f" ({run.rows[-1].first})" if run.rows and run.rows[-1].first else ""
        return (*spans, f"not within {AHEAD} days: {_named(left)}{why}")
    done = max(time for found in times.values() for time in found) + HABITS.update
    return (*spans, f"done: {_at(done)}, if nobody fails and each needs {HABITS.update // 60} minutes")


def _about(fleet: Fleet, times: Sequence[int], left: Sequence[str], touched: int, latest: int) -> str:
    """`times`: of the last wave that went. Batch by batch within the windows of the first who is left, and after the
    soaks of the waves to come."""
    if frozen := [box for box in left if fleet.boxes[box].freeze]:
        return f"not within {AHEAD} days: {_named(frozen)} (frozen: {fleet.boxes[frozen[0]].freeze})"
    going, box, began = Going(fleet.boxes, fleet.policy.careful), fleet.boxes[left[0]], sorted({*times})
    waves = defaultdict[int, list[str]](list)
    for name in left:
        waves[going.wave[name]].append(name)
    gap = min((later - time for time, later in pairwise(began)), default=HABITS.look * -(-HABITS.update // HABITS.look))
    windows, time = calendar(box.windows, box.moratoria, box.timezone), began[-1]
    for wave, boxes in sorted(waves.items()):
        for _ in range(_batches(going, boxes)):
            time = windows.opens(time + gap)
            if not 0 < time < latest:
                return f"not within {AHEAD} days: {_named(left)}"
        time += going.waves[wave].soak if wave < max(waves) else 0
    day, known = f"{datetime.fromtimestamp(time + HABITS.update, UTC):%Y-%m-%d}", touched - len(left)
    return f"done: about {day}, if nobody fails: worked out for {known} of {touched} boxes, the others go in batches"


def _batches(going: Going, boxes: Sequence[str]) -> int:
    """How many it takes, by whoever may go at once: of the group of which it takes most."""
    sizes = Counter(group for box in boxes for group in going.groups(box))
    most = {group: (going.most(group) or size) if going.together(group) else 1 for group, size in sizes.items()}
    return max((-(-size // most[group]) for group, size in sizes.items()), default=1)


def _named(boxes: Sequence[str]) -> str:
    more = f" and {len(boxes) - SHOWN} more" if len(boxes) > SHOWN else ""
    return f"{', '.join(boxes[:SHOWN])}{more}"


def _span(times: Collection[int]) -> str:
    first, last, boxes = _at(min(times)), _at(max(times)), f"{len(times)} box{'es' * (len(times) != 1)}"
    return f"{boxes}: {first}" if first == last else f"{boxes}: {first} to {last}"


def _at(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
