"""How a box is told to people: by what is so now, and by the last thing that went wrong."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing
from sqlalchemy import update

from gitops.model import BoxState, Failure, Health, Phase, Verdict, Version
from gitops.model.machines.newcomer import code
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.rollout import status
from gitops.rollout.status import LIVES, BoxStatus, Pending, fleet_status, said_of
from gitops.store import Store, tables
from gitops.store.notes.newcomers import Newcomer
from gitops.store.notes.reported import BoxFacts
from gitops.store.notes.turns import Permissions
from gitops.store.notes.wiped import Wiped
from tests.kit.crowds import Crowd, fill

OLD, NEW = Version("r7", "c7", "main", 7), Version("r8", "c8", "main", 8)
EARLY = Failure(8, "r8", Verdict.INDETERMINATE, "its tries are used up", 5, "panic")
NOW = int(time.time())
LATE = Failure(8, "r8", Verdict.FAILED, "hello: 500", 9, "cannot bind")


@pytest.mark.parametrize("failures", [(EARLY, LATE), (LATE, EARLY)])
def test_of_all_that_a_box_went_back_from_the_last_is_told(failures: tuple[Failure, ...]) -> None:
    state = BoxState("a", 1, 0, NEW, running=OLD, received=50, reported=Health.HEALTHY, failures=failures)
    told = BoxStatus.of(state, 60)
    assert (told.fell_back, told.fell_back_log) == ("release 8: failed: hello: 500", "cannot bind")


def test_what_a_box_went_back_from_is_told_until_it_runs_what_it_shall() -> None:
    state = BoxState("a", 1, 0, NEW, running=NEW, received=50, reported=Health.HEALTHY, failures=(EARLY,))
    assert BoxStatus.of(state, 60).fell_back == ""


def test_damaged_facts_of_one_box_cost_no_other_its_own_and_new_ones_are_seen_at_once(tmp_path: Path) -> None:
    store, now = Store.open(tmp_path), int(time.time())
    fill(store, Crowd(3), now)
    with store._database.write() as connection:
        connection.execute(update(tables.notes).where(tables.notes.c.name == "facts/box-00001").values(document="{"))
    with structlog.testing.capture_logs() as logs:
        assert [box.agent for box in fleet_status(store, now).boxes] == ["0.1.0", "", "0.1.0"]
    assert [each["event"] for each in logs] == ["facts.damaged"]
    store.notes.put(BoxFacts(30, 600, "0.2.0"), "box-00001")
    assert [box.agent for box in fleet_status(store, now).boxes] == ["0.1.0", "0.2.0", "0.1.0"]


@pytest.mark.parametrize(
    ("wiped", "phase", "told"),
    [
        (False, Phase.WIPING, (Health.HEALTHY, "")),
        (True, Phase.WIPING, (Health.WIPED, "")),
        (True, Phase.IDLE, (Health.DEGRADED, LIVES)),
    ],
    ids=["it-began", "its-last-word", "heard-since"],
)
def test_a_wiped_box_is_wiped_until_it_is_heard_of_again(wiped: bool, phase: Phase, told: tuple[Health, str]) -> None:
    state = BoxState("a", 1, 0, NEW, running=NEW, received=50, phase=phase, reported=Health.HEALTHY)
    said = BoxStatus.of(state, 60, wiped=("a",) if wiped else ("another",))
    assert (said.health, said.error) == told


def test_what_the_box_says_is_wrong_goes_before_what_we_think_of_it() -> None:
    state = BoxState("a", 1, 0, NEW, running=NEW, received=50, phase=Phase.IDLE, error="the disk is full")
    assert BoxStatus.of(state, 60, wiped=("a",)).error == "the disk is full"


@pytest.mark.parametrize(
    ("box", "refused", "says"), [("", "", ""), ("site-7", "", "it is site-7"), ("", "a second one", "a second one")]
)
def test_a_machine_that_waits_is_told_by_its_code_and_by_who_it_is(box: str, refused: str, says: str) -> None:
    key, each = "ab" * 32, Newcomer("vm", 5, 9, "192.0.2.7", "SN1", ("52:54:00:12:34:56",), "", box, refused)
    told = Pending(code(key), "vm", "SN1", ("52:54:00:12:34:56",), "192.0.2.7", 5, 9, says)
    assert Pending.of(key, each) == told


@pytest.fixture
def three(tmp_path: Path) -> Store:
    """A store with three boxes that are well."""
    store = Store.open(tmp_path)
    fill(store, Crowd(3, bad=0, silent=0, behind=0), NOW)
    return store


def test_a_box_of_which_nothing_is_new_is_not_made_again_and_what_is_new_shows_at_once(three: Store) -> None:
    first = fleet_status(three, NOW).boxes
    again = fleet_status(three, NOW + 1).boxes
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, True, True]
    three.notes.put(BoxTurn(3, True, "waiting", 2), "box-00001")
    changed = fleet_status(three, NOW + 1).boxes
    assert [one is other for one, other in zip(first, changed, strict=True)] == [True, False, True]
    assert str(changed[1].turn) == "waiting (release 2)"
    assert {box.health for box in fleet_status(three, NOW + 86_400).boxes} == {Health.MISSING}, "time passes over all"
    assert {box.health for box in fleet_status(three, NOW + 1).boxes} == {Health.HEALTHY}


def test_nothing_is_remembered_of_boxes_that_are_gone(three: Store, tmp_path: Path) -> None:
    fleet_status(three, NOW)
    (tmp_path / "other").mkdir()
    other = Store.open(tmp_path / "other")
    fill(other, Crowd(1, bad=0, silent=0, behind=0), NOW)
    assert [box.box for box in fleet_status(other, NOW).boxes] == ["box-00000"]
    assert status._statuses.keys() == {"box-00000"}
    assert len(fleet_status(three, NOW).boxes) == 3


def test_what_a_box_says_beside_its_state_is_there_where_it_says_something(three: Store) -> None:
    assert said_of(three, "box-00001") == {}
    three.notes.put(Permissions({"box-00001": Lease(4, NOW + 60)}))
    assert said_of(three, "box-00001") == {"permission": {"number": 4, "until": NOW + 60, "stopped": ""}}
    said = Crowd(3, bad=3).report(2, NOW)
    facts = {"kernel": "6.12"}
    three.boxes.save_report(replace(said, counter=2_500_000, facts=facts), NOW)
    told = said_of(three, "box-00002")
    assert told == {"facts": facts, "uptime": 2500, "degraded": ["web: connection refused"]}


def test_a_damaged_record_of_wiped_boxes_is_logged_and_costs_no_box_its_row(three: Store) -> None:
    three.notes.put(Wiped({"box-00001": "ab" * 32}))
    assert fleet_status(three, NOW).boxes[1].health == Health.DEGRADED, "it is heard of"
    with three._database.write() as connection:
        connection.execute(update(tables.notes).where(tables.notes.c.name == "wiped").values(document="{"))
    with structlog.testing.capture_logs() as logs:
        assert {box.health for box in fleet_status(three, NOW).boxes} == {Health.HEALTHY}
    assert [each["event"] for each in logs] == ["wiped.damaged"] and "wiped" in logs[0]["why"]
