"""When the boxes that a plan changes would go, by the clock of now: the rules, lived through in a moment.

In: the fleet at the head, who gets a release, the time. Out: lines for people, one for each wave, and when it would be
done. Rules: everybody is taken for Healthy, nobody fails, and each needs a quarter of an hour; who does not go within
`AHEAD` days is named with what keeps him; a fleet of more than `MOST` boxes is not worked out here.

    dates(fleet, {"demo-1", "demo-2"}, now)     # ("lab: 1 box: 2026-12-01 01:00 UTC", "done: 2026-12-02 01:15 UTC")
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime

from gitops.model import Fleet
from gitops.rollout.careful import Going
from gitops.rollout.simulating.simulator import Commit, Habits, simulate

AHEAD = 60
MOST = 2000
SHOWN = 3


def dates(fleet: Fleet, touched: Collection[str], now: int) -> tuple[str, ...]:
    """`now`: Unix seconds. Nothing for nobody."""
    if not touched:
        return ()
    if len(fleet.boxes) > MOST:
        return (f"with more than {MOST} boxes `toweros rollout simulate` says when they go",)
    commits = [Commit(0, "head", frozenset(touched))]
    run = simulate(fleet.boxes, fleet.policy, commits, Habits(), begins=now, days=AHEAD)
    going, times, went = Going(fleet.boxes, fleet.policy.careful), defaultdict[int, list[int]](list), set[str]()
    for time, box in run.offers:
        times[going.wave[box]].append(now + time)
        went.add(box)
    several = len(going.waves) > 1
    lines = [f"{going.waves[wave].name}: {_span(found)}" for wave, found in sorted(times.items()) if several]
    if never := sorted({*touched} - went):
        more = f" and {len(never) - SHOWN} more" if len(never) > SHOWN else ""
        why = f" ({run.rows[-1].first})" if run.rows and run.rows[-1].first else ""
        return (*lines, f"not within {AHEAD} days: {', '.join(never[:SHOWN])}{more}{why}")
    done = max(time for found in times.values() for time in found) + Habits().update
    return (*lines, f"done: {_at(done)}, if nobody fails and each needs {Habits().update // 60} minutes")


def _span(times: Collection[int]) -> str:
    first, last, boxes = _at(min(times)), _at(max(times)), f"{len(times)} box{'es' * (len(times) != 1)}"
    return f"{boxes}: {first}" if first == last else f"{boxes}: {first} to {last}"


def _at(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
