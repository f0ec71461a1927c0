"""Permissions: who has one, who gave it back, and never two neighbours at once, whatever is lost on the way."""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitops.model import Box, BoxState, Health, Hold, HoldReason, Phase, Policy, Spec, Version
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.model.rollout.waves import Careful
from gitops.rollout.careful import Before, Going
from gitops.rollout.leases.rules import APART, LEASE, MOST, SUPERSEDED, Leases
from gitops.rollout.rules import Facts, Take, decide

NOW = 1_795_000_000
NEW, OLD = Version("n" * 64, "new", "", 2), Version("o" * 64, "old", "", 1)


def state(published: Version = NEW, running: Version = OLD, **more: Any) -> BoxState:
    said = {"phase": Phase.IDLE, "reported": Health.HEALTHY, "received": NOW - 60, "enrolled": 1, **more}
    return BoxState("a", published=published, running=running, **said)


def leases(lease: Lease | None, turn: BoxTurn | None, box: BoxState) -> Leases:
    return Leases({"a": lease} if lease else {}, {"a": turn} if turn else {}, {"a": box})


REST = BoxTurn(spent=3, idle=True, state="waiting")


def test_who_has_a_permission_is_away_until_it_says_that_it_does_not_use_it() -> None:
    assert leases(Lease(4, NOW - 9 * LEASE), REST, state()).open == {"a"}, "no clock gives it back"
    assert leases(Lease(4, NOW), replace(REST, spent=4), state()).returned == {"a"}
    gone_down = replace(REST, spent=4, idle=False)
    assert leases(Lease(4, NOW), gone_down, state()).open == {"a"}, "used: that is its last word for a while"
    assert leases(Lease(4, NOW), replace(REST, spent=4), state(phase=Phase.PROBATION)).open == {"a"}
    taken = leases(Lease(4, NOW), REST, state(running=NEW))
    assert not taken.open and not taken.returned and taken.renewed((), {}, {}, NOW) == {}


def test_who_knows_of_no_permissions_gets_none() -> None:
    old = leases(None, None, state())
    assert not old.open and not old.returned and old.renewed({"a"}, {"a": Take.CANARY}, {}, NOW) == {}


def test_what_failed_there_is_not_asked_for_again() -> None:
    assert leases(Lease(4, NOW), replace(REST, spent=4), state(failed=frozenset({"new"}))).returned == frozenset()


def test_numbers_only_rise_also_after_a_backup_came_back() -> None:
    """The metadata of a backup say 2, the box had 9."""
    turn = replace(REST, spent=9)
    back = leases(Lease(2, NOW), turn, state())
    assert back.returned == {"a"}
    assert back.renewed((), {"a": Take.CANARY}, {}, NOW) == {"a": Lease(10, NOW + LEASE)}
    assert leases(Lease(12, NOW), turn, state(published=OLD)).renewed({"a"}, {}, {}, NOW)["a"].number == 13


def test_a_box_that_lies_about_its_number_can_be_installed_anew_and_go_on() -> None:
    """What it says it used would be the end of all numbers: no report that says one more is taken."""
    lies = replace(REST, spent=(1 << 53) - 1)
    assert leases(Lease(4, NOW), lies, state()).renewed((), {"a": Take.CANARY}, {}, NOW)["a"].number == 5
    anew = BoxTurn(spent=0, idle=True, state="waiting")
    far = leases(Lease((1 << 53) - 1, NOW, "frozen: ada"), anew, state(published=OLD))
    assert far.renewed({"a"}, {}, {}, NOW)["a"].number == 1


def test_what_failed_there_keeps_a_permission_that_is_used_up_and_asks_for_another_when_it_is_forgiven() -> None:
    """To a box, no permission at all is an older controller's leave: it would go at once."""
    bad, turn = state(failed=frozenset({"new"})), replace(REST, spent=4)
    held = leases(Lease(4, NOW), turn, bad)
    assert held.renewed((), {"a": Take.OFFERED}, {}, NOW) == {"a": Lease(4, NOW)}
    assert leases(None, turn, bad).renewed((), {}, {}, NOW) == {"a": Lease(4, 0)}
    again = Leases({"a": Lease(4, NOW)}, {"a": turn}, {"a": bad}, {"a"})
    assert again.returned == {"a"}
    assert again.renewed((), {"a": Hold(HoldReason.FROZEN)}, {}, NOW) == {"a": Lease(4, NOW)}
    assert again.renewed((), {"a": Take.CANARY}, {}, NOW) == {"a": Lease(5, NOW + LEASE)}


def test_a_box_whose_rows_are_damaged_keeps_what_it_was_given() -> None:
    unread = BoxState("a", damaged="its report")
    assert leases(Lease(4, NOW), REST, unread).renewed((), {}, {}, NOW) == {"a": Lease(4, NOW)}


def test_a_silent_box_is_renewed_nothing_and_one_that_is_heard_is() -> None:
    half = Lease(4, NOW + LEASE // 3)
    assert leases(half, REST, state()).renewed((), {}, {}, NOW) == {"a": Lease(4, NOW + LEASE)}
    silent = state(received=half.until - LEASE)
    assert leases(half, REST, silent).renewed((), {}, {}, NOW) == {"a": half}


def test_a_freeze_takes_it_back_and_no_thaw_gives_it_again_before_the_box_has_heard() -> None:
    given = leases(Lease(4, NOW + LEASE), REST, state())
    stops = given.stops({"a": Hold(HoldReason.FROZEN, "ada: storm")}, ())
    assert given.renewed((), {}, stops, NOW) == {"a": Lease(4, NOW + LEASE, "frozen: ada: storm")}
    stopped = leases(Lease(4, NOW + LEASE, "frozen: ada: storm"), REST, state())
    assert stopped.renewed((), {"a": Take.CANARY}, {}, NOW)["a"].stopped
    assert given.stops({"a": Hold(HoldReason.WAITS_FOR_ROOM)}, ()) == {}, "it has the room"
    assert given.stops({}, {"a"}) == {"a": SUPERSEDED}


def test_numbers_begin_at_one_and_no_number_that_cannot_be_counts() -> None:
    fresh = BoxTurn(spent=0, idle=True, state="waiting")

    def number(lease: Lease | None, turn: BoxTurn) -> int:
        return leases(lease, turn, state(published=OLD)).renewed({"a"}, {}, {}, NOW)["a"].number

    assert number(None, fresh) == 1
    assert number(None, replace(fresh, spent=MOST - 1)) == MOST
    assert number(None, replace(fresh, spent=MOST)) == 1
    assert number(Lease(3 + APART, NOW), replace(fresh, spent=3)) == 4 + APART
    assert number(Lease(4 + APART, NOW), replace(fresh, spent=3)) == 4


def test_a_permission_is_renewed_once_half_of_it_is_over_and_a_reason_is_a_short_text() -> None:
    half = Lease(4, NOW + LEASE // 2)
    assert leases(half, REST, state()).renewed((), {}, {}, NOW) == {"a": half}
    assert leases(half, REST, state()).renewed((), {}, {}, NOW + 1) == {"a": Lease(4, NOW + 1 + LEASE)}
    assert leases(half, REST, state()).renewed((), {}, {"a": "x" * 300}, NOW)["a"].stopped == "x" * 200


def test_for_the_rules_who_gave_it_back_was_offered_nothing_and_who_has_one_is_away() -> None:
    facts = {"a": Facts.of(state(), NOW)}
    back = leases(Lease(4, NOW), replace(REST, spent=4), state()).facts(facts, ())["a"]
    assert (back.published, back.tried, back.leased) == (OLD.content, 4, False)
    assert leases(None, REST, state()).facts(facts, ())["a"].tried == 0
    has_one = leases(Lease(4, NOW), REST, state())
    assert has_one.facts(facts, ()) == {"a": replace(facts["a"], leased=True)}
    given_back = has_one.facts(facts, (), also={"a"})["a"]
    assert (given_back.published, given_back.tried, given_back.leased) == (OLD.content, 4, False)
    assert has_one.facts(facts, {"a"}, also={"a"})["a"].published == NEW.content, "something new waits for it"
    assert has_one.facts({}, ()) == has_one.facts({}, (), also={"a"}) == {}, "of whom nothing is asked"


def test_of_a_box_of_which_nothing_can_be_read_no_more_is_kept_than_there_was() -> None:
    unread = BoxState("a", damaged="its report")
    assert leases(None, REST, unread).renewed((), {}, {}, NOW) == {}
    assert leases(Lease(4, NOW), None, unread).renewed((), {}, {}, NOW) == {}


# --- never two neighbours ---


@dataclass
class Machine:
    """A box as it is, what the controller heard of it last, and what it heard of the metadata last."""

    runs: Version = OLD
    spent: int = 0
    phase: Phase = Phase.IDLE
    clock: int = 0
    """Seconds that its clock is wrong: it makes no difference."""
    offered: Version = OLD
    lease: Lease | None = None
    told: BoxState = field(default_factory=lambda: state(OLD))
    said: BoxTurn = field(default_factory=lambda: BoxTurn(0, idle=True))

    def hears(self, offered: Version, lease: Lease | None) -> None:
        self.offered, self.lease = offered, lease

    def looks(self, now: int) -> None:
        """What the agent does (pkg/agent, turn/rules.py), in a line or two."""
        lease = self.lease
        if self.phase != Phase.IDLE:
            self.runs, self.phase = self.offered if self.phase == Phase.PROBATION else self.runs, {
                Phase.REBOOTING: Phase.PROBATION, Phase.PROBATION: Phase.IDLE,
            }[self.phase]  # fmt: skip
        elif lease and self.offered != self.runs and lease.number > self.spent:
            if lease.stopped or now >= lease.until:
                self.spent = lease.number
            else:
                self.spent, self.phase = lease.number, Phase.REBOOTING

    def reports(self, now: int) -> None:
        health = Health.HEALTHY if self.phase == Phase.IDLE else Health.PROGRESSING
        self.told = state(self.told.published, self.runs, phase=self.phase, reported=health, received=now)
        waits = "waiting" if self.offered != self.runs else ""
        self.said = BoxTurn(self.spent, idle=self.phase == Phase.IDLE, state=waits)


class Controller:
    """The real rules over two boxes of one cell, in passes."""

    def __init__(self) -> None:
        self.boxes = {name: Machine() for name in "ab"}
        self.given = dict[str, Lease]()
        self.newest = OLD
        self.frozen = ""
        """Names of boxes."""

    def run(self, now: int) -> None:
        fleet = {
            name: Box(name, "site", Spec("k", ""), site="s", freeze="ada: storm" * (name in self.frozen))
            for name in self.boxes
        }
        going = Going(fleet, Careful(never_together=("site",)))
        states = {name: each.told for name, each in self.boxes.items()}
        waiting = {name for name, each in states.items() if each.published != self.newest}
        wanted = dict.fromkeys(self.boxes, self.newest.content)
        found = Leases(self.given, {name: each.said for name, each in self.boxes.items()}, states)
        facts = {name: Facts.of(each, now) for name, each in states.items()}

        def decided(also: frozenset[str] = frozenset()) -> Any:
            seen = found.facts(facts, waiting, also)
            roles = dict.fromkeys(wanted, "site")
            rules = decide(wanted, seen, roles, Policy(canaries=9, max_failures=9))
            return going.settle(rules, wanted, seen, Before(), now).decisions

        stops = found.stops(decided(found.open), waiting)
        decisions = decided()
        goes = {name for name in waiting if not isinstance(decisions[name], Hold)}
        self.given = found.renewed(goes, decisions, stops, now)
        for name in goes:
            self.boxes[name].told = replace(self.boxes[name].told, published=self.newest)


EVENTS = (
    "pass",
    "commit",
    "freeze",
    "freeze a",
    "thaw",
    "a hears",
    "b hears",
    "a looks",
    "b looks",
    "a reports",
    "b reports",
)

OVERTAKEN = [(each, 1) for each in ("commit", "pass", "a hears", "b hears", "commit", "freeze a", "pass", "b hears")]
"""Whoever got the first permission has not heard that it is over."""


@example(events=OVERTAKEN)
@settings(max_examples=60)
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([1, 60, LEASE // 2, LEASE])), max_size=120))
def test_never_two_neighbours_are_away_whatever_gets_lost_and_there_is_always_an_end(
    events: list[tuple[str, int]],
) -> None:
    fleet, now, commits = Controller(), NOW, 1
    for event, seconds in events:
        now += seconds
        if event == "pass":
            fleet.run(now)
        elif event == "commit":
            commits += 1
            fleet.newest = Version(f"{commits}" * 64, f"new {commits}", "", commits)
        elif event in ("freeze", "freeze a", "thaw"):
            fleet.frozen = {"freeze": "ab", "freeze a": "a", "thaw": ""}[event]
        else:
            _does(fleet, event, now)
        away = [each.phase for each in fleet.boxes.values() if each.phase != Phase.IDLE]
        assert len(away) < 2, "both at once"
        holds = [each for each in fleet.boxes.values() if _may(each, now)]
        assert len(holds) < 2, "both may restart"
    fleet.frozen = ""
    for _ in range(30):
        now += 60
        fleet.run(now)
        for name in "ab":
            for event in ("hears", "looks", "reports"):
                _does(fleet, f"{name} {event}", now)
    assert {each.runs for each in fleet.boxes.values()} == {fleet.newest}


def _does(fleet: Controller, event: str, now: int) -> None:
    name, what = event.split()
    box = fleet.boxes[name]
    if what == "hears":
        box.hears(box.told.published, fleet.given.get(name))
    elif what == "looks":
        box.looks(now)
    else:
        box.reports(now)


def _may(box: Machine, now: int) -> bool:
    lease = box.lease
    usable = bool(lease and lease.number > box.spent and not lease.stopped and now < lease.until)
    return (usable and box.offered != box.runs) or box.phase != Phase.IDLE
