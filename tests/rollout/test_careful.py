"""Waves, windows, neighbours: never more at once than allowed, always an end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.model import Box, Health, Hold, HoldReason, Policy, Spec
from gitops.model.rollout.waves import Careful, Share, Steering, Wave
from gitops.rollout.careful import Before, Going
from gitops.rollout.counting.standing import How, how
from gitops.rollout.rules import Decision, Facts, Take, decide

NOW = 1_795_000_000.0
SPEC = Spec("kernel", "")
OLD, SILENT = Facts("old", "old", Health.HEALTHY), Facts("old", "old", Health.MISSING)
TAKING, GOOD = Facts("new", "old", Health.HEALTHY), Facts("new", "new", Health.HEALTHY)
TRYING, LOST = Facts("new", "new", Health.PROGRESSING), Facts("new", "old", Health.MISSING)
SICK, BAD = Facts("new", "new", Health.DEGRADED), Facts("new", "old", Health.HEALTHY, frozenset({"new"}))
GOES = (Take.FIRST, Take.CANARY, Take.PROVEN)
MANY = 99


def box(name: str, **members: Any) -> Box:
    return Box(name, "site", SPEC, **members)


def settled(
    boxes: list[Box], facts: Mapping[str, Facts], careful: Careful, done: Any = None, now: float = NOW, **policy: Any
) -> Any:
    fleet, wanted = {each.name: each for each in boxes}, {each.name: "new" for each in boxes}
    going = Going(fleet, careful)
    roles = {each.name: each.role for each in boxes}
    rules = Policy(**{"canaries": MANY, "max_failures": MANY, **policy})
    apart = going.no_canaries(wanted, facts, now)
    decisions = decide(going.in_order(wanted), facts, roles, rules, apart=apart)
    return going.settle(decisions, wanted, facts, Before(done or ()), now)


def went(decisions: Mapping[str, Decision]) -> str:
    return "".join(sorted(name for name, each in decisions.items() if each in GOES))


def why(decisions: Mapping[str, Decision], name: str) -> str:
    hold = decisions[name]
    assert isinstance(hold, Hold)
    return str(hold)


@pytest.mark.parametrize(
    ("fact", "kind"),
    [(OLD, How.WAITS), (SILENT, How.SILENT), (TAKING, How.GOING), (TRYING, How.GOING), (GOOD, How.HEALTHY),
     (LOST, How.MISSING), (SICK, How.DEGRADED), (BAD, How.FAILED)],
)  # fmt: skip
def test_how_a_box_is_with_what_it_is_wanted_to_run(fact: Facts, kind: How) -> None:
    assert how(fact, "new") == kind


LAB, SOME = Wave("lab", labels=(("ring", "lab"),), soak=3600), Wave("some", boxes=("c",))
IN_WAVES = [box("a", labels=(("ring", "lab"),)), box("b", labels=(("ring", "lab"),)), box("c"), box("d")]


@pytest.mark.parametrize(
    ("a", "b", "c", "goes", "text"),
    [
        (OLD, OLD, OLD, "ab", "waits for wave lab: 0 of 2 are Healthy"),
        (GOOD, TRYING, OLD, "", "waits for wave lab: 1 of 2 are Healthy"),
        (GOOD, GOOD, OLD, "", "waits for wave lab, which soaks until 2026-11-18 12:06 UTC"),
        (GOOD, SILENT, OLD, "", "waits for wave lab, which soaks until"),
        (SILENT, SILENT, OLD, "", "waits for wave lab: 0 of 2 are Healthy, nobody is heard"),
        (GOOD, LOST, OLD, "", "stopped: wave lab: 1 Missing, 0 may be"),
        (GOOD, SICK, OLD, "", "stopped: wave lab: 1 Degraded, 0 may be"),
        (GOOD, BAD, OLD, "", "stopped: wave lab: 1 failed, 0 may be"),
        (OLD, BAD, OLD, "", "stopped: wave lab: 1 failed, 0 may be"),
        (Facts(), Facts(), OLD, "abc", "waits for wave some: 0 of 1 are Healthy"),
    ],
)
def test_a_wave_waits_for_the_one_before(a: Facts, b: Facts, c: Facts, goes: str, text: str) -> None:
    outcome = settled(IN_WAVES, {"a": a, "b": b, "c": c, "d": OLD}, Careful((LAB, SOME)))
    assert went(outcome.decisions) == goes
    assert why(outcome.decisions, "d").startswith(text)


def test_the_soak_begins_when_a_wave_is_done_and_a_restart_later_does_not_begin_it_anew() -> None:
    facts = {"a": GOOD, "b": GOOD, "c": OLD, "d": OLD}
    first = settled(IN_WAVES, facts, Careful((LAB, SOME)))
    assert first.until == NOW + 3600

    later = settled(IN_WAVES, facts | {"a": TRYING}, Careful((LAB, SOME)), first.waves, NOW + 1800)
    assert [each.done for each in later.waves] == [each.done for each in first.waves]
    back = settled(IN_WAVES, facts, Careful((LAB, SOME)), later.waves, NOW + 3600)
    assert went(back.decisions) == "c"
    assert why(back.decisions, "d") == "waits for wave some: 0 of 1 are Healthy"


def test_another_commit_begins_the_soak_anew() -> None:
    facts = {"a": GOOD, "b": GOOD, "c": OLD, "d": OLD}
    careful = Careful((LAB, SOME))
    first = settled(IN_WAVES, facts, careful)
    fleet = {each.name: each for each in IN_WAVES}
    newer = dict.fromkeys("abcd", "newer")
    run = {name: replace(fact, published="newer", running="newer") for name, fact in facts.items() if fact is GOOD}
    decisions = decide(newer, facts | run, dict.fromkeys("abcd", "site"), Policy(canaries=MANY))
    outcome = Going(fleet, careful).settle(decisions, newer, facts | run, Before(first.waves), NOW + 7200)
    assert went(outcome.decisions) == "" and outcome.waves[0].done == NOW + 7200


def test_who_is_held_or_cannot_be_offered_holds_up_no_wave() -> None:
    fleet = {each.name: each for each in IN_WAVES}
    wanted = dict.fromkeys("abcd", "new")
    facts = {"a": GOOD, "b": OLD, "c": OLD, "d": OLD}
    decisions = decide(wanted, facts, dict.fromkeys("abcd", "site"), Policy(canaries=MANY), {"b": "ada: repairs"})
    outcome = Going(fleet, Careful((replace(LAB, soak=0),))).settle(decisions, wanted, facts, Before(), NOW)
    assert went(outcome.decisions) == "cd"


def test_the_canaries_are_of_the_first_wave() -> None:
    boxes = [box("a"), box("b", labels=(("ring", "lab"),))]
    outcome = settled(boxes, {"a": OLD, "b": OLD}, Careful((LAB,)), canaries=1)
    assert outcome.decisions == {"a": Hold(HoldReason.WAITS_FOR_CANARY, "b: Healthy"), "b": Take.CANARY}


@pytest.mark.parametrize(("percent", "size"), [(1, 1), (10, 2), (50, 10), (100, 20)])
def test_a_part_of_the_fleet_is_always_the_same(percent: int, size: int) -> None:
    boxes = {f"box-{number}": box(f"box-{number}") for number in range(20)}
    waves = [Going(boxes, Careful((Wave("part", percent=percent),))).wave for _ in range(2)]
    assert waves[0] == waves[1]
    assert [*waves[0].values()].count(0) == size


@pytest.mark.parametrize(
    ("wave", "members"),
    [
        (Wave("w", roles=("lab",)), {"lab-north", "lab-south"}),
        (Wave("w", sites=("north",)), {"lab-north", "mast-north"}),
        (Wave("w", roles=("lab",), sites=("north",)), {"lab-north"}),
    ],
)
def test_who_belongs_to_a_wave_by_its_role_and_its_site(wave: Wave, members: set[str]) -> None:
    places = [(role, site) for role in ("lab", "mast") for site in ("north", "south")]
    boxes = {f"{role}-{site}": Box(f"{role}-{site}", role, SPEC, site=site) for role, site in places}
    assert set(Going(boxes, Careful((wave,))).members(0)) == members


@pytest.mark.parametrize("chosen", [{"roles": ("lab",)}, {"sites": ("north",)}])
def test_a_part_of_what_fits_is_no_part_of_the_fleet(chosen: dict[str, Any]) -> None:
    boxes = {f"lab-{number}": Box(f"lab-{number}", "lab", SPEC, site="north") for number in range(10)}
    boxes |= {f"mast-{number}": Box(f"mast-{number}", "mast", SPEC, site="south") for number in range(10)}
    assert len(Going(boxes, Careful((Wave("w", percent=50, **chosen),))).members(0)) == 5


def test_two_of_one_cell_are_never_away_together() -> None:
    boxes = [box(name, labels=(("cell", "ab" if name in "ab" else name),)) for name in "abc"]
    careful = Careful(never_together=("cell",))
    assert len(went(settled(boxes, dict.fromkeys("abc", OLD), careful).decisions)) == 2
    for fact in (TAKING, TRYING, LOST, SICK, SILENT):
        decisions = settled(boxes, {"a": fact, "b": OLD, "c": OLD}, careful).decisions
        assert why(decisions, "b") == "waits for its neighbour a of cell ab", fact
    for fact in (GOOD, BAD):
        assert "b" in went(settled(boxes, {"a": fact, "b": OLD, "c": OLD}, careful).decisions), fact


def test_one_in_a_trial_of_something_older_counts() -> None:
    boxes = [box(name, site="n") for name in "ab"]
    older = Facts("older", "older", Health.PROGRESSING)
    assert "b" not in went(settled(boxes, {"a": older, "b": OLD}, Careful(never_together=("site",))).decisions)


@pytest.mark.parametrize(
    ("limits", "goes"),
    [
        ((("fleet", Share(1)),), 1),
        ((("fleet", Share(50, True)),), 3),
        ((("fleet", Share(1, True)),), 1),  # one, where the part is less than one
        ((("site", Share(1)),), 3),
        ((("site", Share(2)), ("fleet", Share(4))), 4),
        ((("ring", Share(1)),), 6),  # who has no such label counts nowhere
    ],
)
def test_so_many_at_once(limits: tuple[tuple[str, Share], ...], goes: int) -> None:
    boxes = [box(name, site=f"n-{number // 2}") for number, name in enumerate("abcdef")]
    outcome = settled(boxes, dict.fromkeys("abcdef", OLD), Careful(max_unavailable=limits))
    assert len(went(outcome.decisions)) == goes


def test_one_that_is_busy_with_something_older_takes_no_place_from_itself_and_is_told_of_the_others() -> None:
    boxes = [box(name) for name in "abcdef"]
    older = Facts("older", "older", Health.PROGRESSING)
    careful = Careful(max_unavailable=(("fleet", Share(1)),))
    assert went(settled(boxes[:2], {"a": older, "b": GOOD}, careful).decisions) == "a"
    facts = {"a": older, **dict.fromkeys("bcde", TRYING), "f": OLD}
    decisions = settled(boxes, facts, careful).decisions
    assert why(decisions, "a") == "waits: the fleet: at most 1 at once; b, c, d and 1 more"
    assert why(decisions, "f") == "waits: the fleet: at most 1 at once; a, b, c and 2 more"
    site = Careful(max_unavailable=(("site", Share(1)),))
    three = [box(name, site="n") for name in "abcd"]
    decisions = settled(three, {"a": TRYING, "b": TRYING, "c": TRYING, "d": OLD}, site).decisions
    assert why(decisions, "d") == "waits: site n: at most 1 at once; a, b, c"


def test_a_wave_that_stopped_says_which_boxes_stopped_it_and_what_they_have() -> None:
    fleet, wanted = {each.name: each for each in IN_WAVES}, dict.fromkeys("abcd", "new")
    facts, careful = {"a": GOOD, "b": BAD, "c": SICK, "d": OLD}, Careful((LAB, SOME))
    going, lab = Going(fleet, careful), "wave lab: 1 failed, 0 may be"
    some = {"wave some: 1 Degraded, 0 may be": {"c": How.DEGRADED}}
    assert going.stopped({}, wanted, facts, Steering()) == {lab: {"b": How.FAILED}, **some}
    content = settled(IN_WAVES, facts, careful).waves[0].content
    assert going.stopped({}, wanted, facts, Steering(promoted=frozenset({content}))) == some
    assert going.stopped({}, wanted, dict.fromkeys("abcd", GOOD), Steering()) == {}


def test_silent_boxes_go_last_and_count_for_nobody() -> None:
    boxes = [box(name) for name in "abc"]
    careful = Careful(max_unavailable=(("fleet", Share(1)),))
    facts = {"a": SILENT, "b": OLD, "c": OLD}
    first = settled(boxes, facts, careful).decisions
    assert len(went(first)) == 1 and why(first, "a") == "waits: it is silent, and goes when nobody who is heard waits"
    assert went(settled(boxes, {"a": SILENT, "b": GOOD, "c": TRYING}, careful).decisions) == "a"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"freeze": "ada: the fair"}, "frozen: ada: the fair"),
        ({"windows": ("mon 03:00-04:00",)}, "waits until 2026-11-23 03:00 (UTC)"),
        ({"moratoria": ("2026-11-01..2026-11-20: the fair",)}, "waits until 2026-11-21 00:00 (UTC): the fair"),
    ],
)
def test_who_may_not_begin_now(members: dict[str, Any], text: str) -> None:
    outcome = settled([box("a", **members), box("b")], {"a": OLD, "b": OLD}, Careful())
    assert why(outcome.decisions, "a") == text
    assert went(outcome.decisions) == "b"
    began = settled([box("a", **members)], {"a": TRYING}, Careful())
    assert began.decisions["a"] == Take.OFFERED, "what was begun goes on"
    new = settled([box("a", **members)], {"a": Facts()}, Careful())
    assert new.decisions["a"] == Take.FIRST, "a new box has nothing to lose"


def test_the_clock_says_when_to_look_again() -> None:
    outcome = settled([box("a", windows=("mon 03:00-04:00",))], {"a": OLD}, Careful())
    assert outcome.until == 1795402800
    assert settled([box("a")], {"a": OLD}, Careful()).until == 0


sites = st.sampled_from(["", "n-1", "n-2", "n-3"])
fleets = st.lists(st.tuples(sites, st.sampled_from(["", "lab", "rest"])), min_size=1, max_size=12)
shares = st.one_of(st.builds(Share, st.integers(1, 4)), st.builds(Share, st.integers(1, 60), st.just(True)))


@given(
    fleet=fleets,
    waves=st.lists(st.sampled_from([LAB, SOME, Wave("tenth", percent=10), Wave("n", sites=("n-1",))]), unique=True),
    limits=st.dictionaries(st.sampled_from(["fleet", "site", "ring"]), shares),
    together=st.sampled_from([(), ("site",), ("site", "ring")]),
    order=st.randoms(use_true_random=False),
)
def test_never_more_than_allowed_and_always_an_end(
    fleet: list[tuple[str, str]], waves: list[Wave], limits: dict[str, Share], together: tuple[str, ...], order: Any
) -> None:
    """Boxes that are heard and take what they get: whatever the rules, all have it in the end."""
    labels = [(("ring", ring),) if ring else () for _, ring in fleet]
    boxes = [box(f"b-{at}", site=site, labels=labels[at]) for at, (site, _) in enumerate(fleet)]
    careful = Careful(tuple(waves), tuple(limits.items()), together)
    facts, done, now = {each.name: OLD for each in boxes}, (), NOW
    groups = {each.name: {"fleet": "all", "site": each.site, **dict(each.labels)} for each in boxes}

    for _ in range(10 * len(boxes) + 20):
        outcome = settled(boxes, facts, careful, done, now, canaries=1)
        done, now = outcome.waves, now + 1800
        facts |= {name: TAKING for name in facts if outcome.decisions[name] in GOES}
        away = [name for name, fact in facts.items() if fact in (TAKING, TRYING)]
        for key in {*limits, *together}:
            for value in {group[key] for group in groups.values() if group.get(key)}:
                size = sum(group.get(key) == value for group in groups.values())
                most = max(limits[key].of(size), 1) if key in limits else size
                assert sum(groups[name].get(key) == value for name in away) <= (1 if key in together else most)
        for name in order.sample(away, order.randint(min(1, len(away)), len(away))):
            facts[name] = TRYING if facts[name] is TAKING else GOOD

    assert set(facts.values()) == {GOOD}


def test_a_clock_that_was_ahead_when_a_wave_was_done_lets_it_soak_no_longer_than_it_says() -> None:
    boxes, careful = [box("a", labels=(("ring", "lab"),)), box("b")], Careful(waves=(LAB,))
    facts = {"a": GOOD, "b": OLD}
    ahead = settled(boxes, facts, careful, now=NOW + 10 * 365 * 86400)
    back = settled(boxes, facts, careful, ahead.waves)
    assert went(back.decisions) == "" and back.waves[0].done == int(NOW)
    assert went(settled(boxes, facts, careful, back.waves, now=NOW + 3600).decisions) == "b"


def test_a_box_that_is_frozen_for_ever_keeps_no_silent_one_from_its_update() -> None:
    boxes = [box("a", freeze="as long as the mast stands"), box("b"), box("c")]
    found = settled(boxes, {"a": OLD, "b": SILENT, "c": GOOD}, Careful(), canaries=1)
    assert went(found.decisions) == "b"


def test_who_is_suspended_while_it_restarts_is_still_a_neighbour_until_it_is_back() -> None:
    boxes = [box(name, site="s") for name in "ab"]
    careful, wanted = Careful(never_together=("site",)), {"a": "new", "b": "new"}
    going = Going({each.name: each for each in boxes}, careful)
    for fact, goes in ((TRYING, ""), (GOOD, "b"), (LOST, "b")):
        facts = {"a": fact, "b": OLD}
        held = decide(wanted, facts, dict.fromkeys("ab", "site"), Policy(canaries=MANY), {"a": "ada: a crane"})
        assert went(going.settle(held, wanted, facts, Before(()), NOW).decisions) == goes
        alone = {"b": held["b"]}  # as of a box whose next release cannot be made
        assert went(going.settle(alone, {"b": "new"}, facts, Before(()), NOW).decisions) == goes


@pytest.mark.parametrize(
    "members",
    [{"freeze": "a crane"}, {"windows": ("mon 01:00-02:00",)}, {"site": "s"}],
    ids=["frozen", "closed", "beside"],
)
def test_one_that_cannot_go_is_no_canary_that_keeps_all_of_its_role(members: dict[str, Any]) -> None:
    dead = [box("z", site="s")] if "site" in members else []
    boxes = [box("a", **members), box("b"), box("c"), *dead]
    facts = {"a": OLD, "b": OLD, "c": OLD} | {each.name: SILENT for each in dead}
    careful = Careful(never_together=("site",))
    assert went(settled(boxes, facts, careful, canaries=1).decisions) == "b"
    facts["b"] = GOOD
    assert went(settled(boxes, facts, careful, canaries=1).decisions) == ("cz" if dead else "c")


def test_a_canary_whose_window_closes_stays_the_one_that_is_waited_for() -> None:
    boxes = [box("a", windows=("mon 01:00-02:00",)), box("b")]
    assert went(settled(boxes, {"a": TAKING, "b": OLD}, Careful(), canaries=1).decisions) == ""


@pytest.mark.parametrize("members", [{"freeze": "a crane"}, {"site": "s"}], ids=["frozen", "beside"])
def test_one_that_cannot_go_holds_up_no_wave(members: dict[str, Any]) -> None:
    lab = {"labels": (("ring", "lab"),)}
    dead = [box("z", site="s")] if "site" in members else []
    boxes = [box("a", **lab, **members), box("b", **lab), box("c"), *dead]
    facts = {"a": OLD, "b": GOOD, "c": OLD} | {each.name: SILENT for each in dead}
    careful = Careful(waves=(Wave("lab", labels=(("ring", "lab"),)),), never_together=("site",))
    assert went(settled(boxes, facts, careful).decisions) == "c"
    facts["c"] = GOOD
    assert went(settled(boxes, facts, careful).decisions) == ("z" if dead else ""), "it comes back to it"


@pytest.mark.parametrize(
    "members", [{"freeze": "a crane"}, {"windows": ("mon 01:00-02:00",)}], ids=["frozen", "closed"]
)
def test_a_silent_one_does_not_become_the_canary_of_those_who_may_not_go_yet(members: dict[str, Any]) -> None:
    """Nobody would know whether it was lost by that, and all would wait for it."""
    facts = {"a": OLD, "z": SILENT}
    assert went(settled([box("a", **members), box("z")], facts, Careful(), canaries=1).decisions) == ""
    assert went(settled([box("a"), box("z")], facts, Careful(), canaries=1).decisions) == "a"
    assert (
        went(settled([box("a", **members), box("z")], {"a": GOOD, "z": SILENT}, Careful(), canaries=1).decisions) == "z"
    )
