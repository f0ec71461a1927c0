"""A release goes out in waves, and operators have a word in between: real passes, each by a controller of its own."""

from datetime import UTC, datetime, timedelta

import pytest

from gitops.errors import TowerosError
from gitops.model import Health
from gitops.rollout import steering
from gitops.store.notes.waves import Waves
from gitops.workflows.turns.turns import saved
from tests.kit.console import toweros
from tests.kit.site import HELLO, WORSE, Site

WAVES = "waves: [{name: lab, boxes: [a]}, {name: rest-of-us, percent: 100, soak: 1 day}]"
ONE = {"fleet.yaml": f"source: {{branch: main}}\nrollout: {{max_unavailable: 1, {WAVES}}}\n"}
NOW = 1_795_000_000


def went(site: Site) -> str:
    return "".join(sorted(site.run().published))


@pytest.fixture
def fleet(site: Site) -> Site:
    site.commit(ONE)
    site.run()
    for box in "abc":
        site.report(box)
    site.commit(HELLO)
    return site


def test_one_after_the_other_and_each_controller_goes_on_where_the_last_one_was(fleet: Site) -> None:
    assert went(fleet) == "a" and went(fleet) == ""
    fleet.report("a", Health.PROGRESSING)
    assert went(fleet) == ""
    fleet.report("a")
    second = went(fleet)
    assert len(second) == 1 and went(fleet) == ""
    fleet.report(second)
    third = went(fleet)
    assert {second, third} == {"b", "c"}
    fleet.report(third)
    assert went(fleet) == ""


def test_a_box_that_is_not_back_keeps_the_others_where_they_are(fleet: Site) -> None:
    assert went(fleet) == "a"
    fleet.report("a", Health.DEGRADED)
    assert went(fleet) == ""
    assert str(fleet.store.holds.all()["b"]) == "waits for canary a: Degraded"
    assert fleet.told_to_wait() == {}, "they run what they are offered"
    assert "stopped: wave lab" in toweros("rollout", "status", "--state", fleet.settings.state).stdout


def test_whoever_pauses_it_keeps_everybody_from_beginning(fleet: Site) -> None:
    steering.pause(fleet.store, "ada", "the mast is open", NOW)
    assert went(fleet) == ""
    assert str(fleet.store.holds.all()["a"]) == "frozen: ada: the mast is open (since 2026-11-18 11:06 UTC)"
    fleet.commit(WORSE)
    assert went(fleet) == "", "the next commit, too"
    assert steering.resume(fleet.store, "ada") and not steering.resume(fleet.store, "ada")
    assert went(fleet) == "a"


def test_what_is_aborted_ends_with_the_next_commit(fleet: Site) -> None:
    fleet.run()
    told = toweros("rollout", "abort", "-m", "it smells", "--who", "ada", "--state", fleet.settings.state)
    assert "nobody else takes main@sha1:" in told.stderr
    fleet.report("a")
    assert went(fleet) == ""
    assert "ada: it smells" in str(fleet.store.holds.all()["b"])
    fleet.commit(WORSE)
    assert went(fleet) == "a"


def test_a_wave_that_is_promoted_is_not_waited_for_until_its_boxes_are_to_run_something_else(fleet: Site) -> None:
    assert went(fleet) == "a"
    fleet.report("a", Health.DEGRADED)
    assert went(fleet) == ""
    with pytest.raises(TowerosError, match="nobody waits for a wave rest") as caught:
        steering.promote(fleet.store, "rest", "ada", "why")
    assert "lab" in caught.value.hint
    steering.promote(fleet.store, "lab", "ada", "it is only the lamp")
    fleet.report("a")  # max_unavailable counts whom a wave does not
    assert len(went(fleet)) == 1
    fleet.commit(WORSE)
    assert went(fleet) == "a"


def test_a_moratorium_lets_nobody_begin(fleet: Site) -> None:
    today = datetime.now(UTC).date()
    dates = f"{today - timedelta(days=1)}..{today + timedelta(days=2)}"
    fleet.commit({"roles/vm.yaml": f'boot: [boot/a.yml]\nmoratoria: ["{dates}: the fair"]\n'})
    assert went(fleet) == ""
    said = str(fleet.store.holds.all()["a"])
    assert said == f"waits until {today + timedelta(days=3)} 00:00 (UTC): the fair"
    fleet.commit({"roles/vm.yaml": "boot: [boot/a.yml]\n"})
    assert went(fleet) == "a"


def test_a_new_box_does_not_wait(fleet: Site) -> None:
    steering.pause(fleet.store, "ada", "the mast is open", NOW)
    fleet.commit({"boxes/d.yaml": "role: vm\n"})
    assert went(fleet) == "d"


def test_a_damaged_record_of_waves_begins_them_anew(fleet: Site) -> None:
    fleet.run()
    store = fleet.store
    assert [each.name for each in saved(store)] == ["lab", "rest-of-us", "rest"]
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = 'waves'")
    assert saved(store) == ()
    fleet.report("a")
    assert len(went(fleet)) == 1
    assert store.notes.get(Waves)


def test_a_damaged_word_of_an_operator_is_taken_back_and_keeps_nobody_for_ever(fleet: Site) -> None:
    steering.pause(fleet.store, "ada", "the mast is open", NOW)
    with fleet.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = 'rollout'")
    assert steering.resume(fleet.store, "ada")
    assert went(fleet) == "a"
