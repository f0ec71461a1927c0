"""Rules that nobody thought of, over a fleet that lives through a week: properties, by the simulator.

`TOWEROS_EXAMPLES=20000` looks at more of them (`make soak`).
"""

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitops.model import Box, Policy, Spec
from gitops.model.rollout.waves import ANY, Careful, Share, Wave
from gitops.rollout.simulating.boxes import Habits
from gitops.rollout.simulating.simulator import DAY, HOUR, Commit, Run, simulate

BEGINS = (1_795_000_000, 1_792_836_000, 1_805_968_800)
"""A Wednesday in November; and the days before clocks are set back and forth (2026-10-24, 2027-03-25)."""
SPEC = Spec("kernel", "")
EXAMPLES = int(os.environ.get("TOWEROS_EXAMPLES", "25"))
some = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

shares = st.builds(Share, st.integers(1, 4)) | st.builds(Share, st.integers(1, 100), st.just(value=True))
"""Of at least one."""
zones = st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
windows = st.sampled_from(((), ("daily 01:00-05:00",), ("daily 22:00-02:00",), ("mon-sun 12:00-12:30",)))


@st.composite
def fleets(draw: st.DrawFn) -> dict[str, Box]:
    def one(at: int) -> Box:
        labels = (("cell", draw(st.sampled_from("xyz"))), ("ring", draw(st.sampled_from(("lab", "field")))))
        site, role = draw(st.sampled_from(("", "n", "s"))), draw(st.sampled_from(("vm", "bts")))
        return Box(f"b{at}", role, SPEC, site=site, labels=labels, windows=draw(windows), timezone=draw(zones))

    return {f"b{at}": one(at) for at in range(draw(st.integers(1, 9)))}


@st.composite
def rules(draw: st.DrawFn, **wave: Any) -> Policy:
    def one(at: int) -> Wave:
        labels = draw(st.sampled_from(((), (("ring", "lab"),), (("ring", "nobody"),))))
        percent, soak = draw(st.integers(1, 100)), draw(st.sampled_from((0, HOUR, 5 * HOUR)))
        return Wave(f"w{at}", labels=labels, percent=percent, soak=soak, **wave)

    waves = tuple(one(at) for at in range(draw(st.integers(0, 3))))
    limits = draw(st.dictionaries(st.sampled_from(("fleet", "site", "cell")), shares, max_size=3))
    apart = draw(st.sets(st.sampled_from(("site", "cell")), max_size=2))
    careful = Careful(waves, tuple(sorted(limits.items())), tuple(sorted(apart)))
    return Policy(careful=careful, canaries=draw(st.integers(0, 3)), max_failures=1000)


def within(run: Run, fleet: dict[str, Box], policy: Policy) -> bool:
    """Whether no group was ever busier than it may."""
    limits = dict(policy.careful.max_unavailable)
    for (key, value), busy in run.most.items():
        groups = [{**dict(box.labels), "site": box.site, "fleet": "all"} for box in fleet.values()]
        members = [each for each in groups if each[key] == value]
        if key in limits and busy > max(limits[key].of(len(members)), 1):
            return False
        if key in policy.careful.never_together and busy > 1:
            return False
    return True


@given(fleets(), rules(), st.sampled_from(BEGINS))
@some
def test_every_box_goes_in_the_end_and_never_more_at_once_than_may(
    fleet: dict[str, Box], policy: Policy, begins: int
) -> None:
    commits = [Commit(0, "v1"), Commit(20 * DAY, "v2")]
    run = simulate(fleet, policy, commits, Habits(update=600), begins=begins, days=40)
    assert within(run, fleet, policy)
    assert {box: ["v1", "v2"] for box in fleet} == run.ran, "an end, and nobody starves"


@given(fleets(), rules(failed=ANY, missing=ANY, degraded=ANY), st.integers(0, 99))
@some
def test_whatever_fails_or_falls_silent_never_more_go_at_once_than_may(
    fleet: dict[str, Box], policy: Policy, seed: int
) -> None:
    habits = Habits(update=600, fails=200, silent=300, seed=seed)
    run = simulate(fleet, policy, [Commit(0, "v1"), Commit(3 * DAY, "v2")], habits, begins=BEGINS[0], days=14)
    assert within(run, fleet, policy)


@given(fleets(), rules(), st.sets(st.sampled_from(("v1", "v2", "v3")), min_size=1), st.sampled_from(("", "v1", "v2")))
@some
def test_nobody_skips_a_floor_and_who_is_pinned_stays(
    fleet: dict[str, Box], policy: Policy, floors: set[str], pin: str
) -> None:
    """Commits come faster than anybody takes them."""
    names = ("v1", "v2", "v3", "v4")
    commits = [Commit(at, name, floor=name in floors) for at, name in enumerate(names, 1)]
    pinned = {name: Box(**{**box.__dict__, "pin": pin if name == "b0" else ""}) for name, box in fleet.items()}
    run = simulate(pinned, policy, commits, Habits(update=600), begins=BEGINS[0], days=60)
    assert within(run, pinned, policy)
    for name, box in pinned.items():
        last = box.pin or "v4"
        assert run.ran[name] == sorted({*(floor for floor in floors if floor < last), last})
