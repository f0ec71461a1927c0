"""How a box is told to people: by what is so now, and by the last thing that went wrong."""

import time
from pathlib import Path

import pytest
from sqlalchemy import update

from gitops.model import BoxState, Failure, Health, Verdict, Version
from gitops.rollout.status import BoxStatus, fleet_status
from gitops.store import Store, tables
from gitops.store.notes.reported import BoxFacts
from tests.kit.crowds import Crowd, fill

OLD, NEW = Version("r7", "c7", "main", 7), Version("r8", "c8", "main", 8)
EARLY = Failure(8, "r8", Verdict.INDETERMINATE, "its tries are used up", 5, "panic")
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
    assert [box.agent for box in fleet_status(store, now).boxes] == ["0.1.0", "", "0.1.0"]
    store.notes.put(BoxFacts(30, 600, "0.2.0"), "box-00001")
    assert [box.agent for box in fleet_status(store, now).boxes] == ["0.1.0", "0.2.0", "0.1.0"]
