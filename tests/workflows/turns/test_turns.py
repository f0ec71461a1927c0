"""A release goes out in waves, and operators have a word in between: real passes, each by a controller of its own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gitops.errors import TowerosError
from gitops.model import Health
from gitops.rollout import steering
from gitops.rollout.progress import Progress
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
    asked = toweros("rollout", "abort", "-m", "it smells", "--who", "ada", "--state", fleet.settings.state)
    assert "nobody is here to be asked" in str(asked.exception)
    told = toweros("rollout", "abort", "--yes", "-m", "it smells", "--who", "ada", "--state", fleet.settings.state)
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


def waves(promote: str = "", more: str = "") -> dict[str, str]:
    lab = f"{{name: lab, boxes: [a], degraded: 1, soak: 1 day{promote}}}"
    return {"fleet.yaml": f"source: {{branch: main}}\nrollout: {{canaries: 0, waves: [{lab}]}}\n{more}"}


def test_what_is_typed_has_a_commit_that_says_the_same_and_neither_takes_the_others_word_back(fleet: Site) -> None:
    fleet.commit(waves(more='freeze: "ada: the mast is open"\n'))
    assert went(fleet) == "" and str(fleet.store.holds.all()["a"]) == "frozen: ada: the mast is open"
    assert not steering.resume(fleet.store, "ben"), "what Git says, Git takes back"
    steering.pause(fleet.store, "ben", "the fair", NOW)
    fleet.commit(waves())
    assert went(fleet) == "" and "ben: the fair" in str(fleet.store.holds.all()["a"])
    assert steering.resume(fleet.store, "ben") and went(fleet) == "a"
    fleet.report("a")
    assert went(fleet) == "" and "soaks until" in str(fleet.store.holds.all()["b"])
    fleet.commit(waves(', promote: "ada: the lamp alone"'))
    assert went(fleet) == "", "said at this look"
    assert went(fleet) == "bc"
    assert "not waited for, by Git: ada: the lamp alone" in str(fleet.store.events.latest(limit=20))


def test_a_promotion_that_stays_in_git_is_about_nothing_later(fleet: Site) -> None:
    fleet.commit(waves(', promote: "ada: the lamp alone"'))
    fleet.run()
    fleet.report("a")
    assert went(fleet) == "bc", "said in the commit that brings it"
    for box in "bc":
        fleet.report(box)
    fleet.commit(WORSE)
    assert went(fleet) == "a"
    fleet.report("a")
    assert went(fleet) == "" and went(fleet) == ""
    fleet.commit(waves(', promote: "ada: once more"'))
    assert went(fleet) == "" and went(fleet) == "bc"


def test_a_last_wave_that_newer_commits_leave_behind_is_told(fleet: Site) -> None:
    def status() -> str:
        done = toweros("rollout", "status", "--state", fleet.settings.state)
        return " ".join((done.stdout + done.stderr).split())

    for number in range(5):
        fleet.commit({"pkg/hello/file": f"hello {number + 10}\n"})
        assert went(fleet) == "a"
        fleet.report("a")
        assert ("commits in a row were overtaken" in status()) == (number >= 3)
        assert bool(Progress.of(fleet.store).as_json()["overtaken"]) == (number >= 3)
    assert "wave rest-of-us: 4 commits in a row" in status()
    for _ in range(4):
        for box in went(fleet):
            fleet.report(box)
    fleet.commit(WORSE)
    went(fleet)
    assert "overtaken" not in status(), "it had its turn"


def test_a_wave_that_is_renamed_soaks_anew_and_one_whose_clock_was_set_back_no_shorter(fleet: Site) -> None:
    fleet.commit(waves())
    assert went(fleet) == "a"
    fleet.report("a")
    assert went(fleet) == ""
    done = saved(fleet.store)[0].done
    assert done
    fleet.commit({"fleet.yaml": waves()["fleet.yaml"].replace("name: lab", "name: bench")})
    assert went(fleet) == "" and saved(fleet.store)[0].name == "bench" and saved(fleet.store)[0].done >= done
    ahead = tuple(replace(state, done=state.done + 9 * 86400 if state.done else 0) for state in saved(fleet.store))
    fleet.store.notes.put(Waves(ahead))
    assert went(fleet) == "" and saved(fleet.store)[0].done < ahead[0].done, "it soaks from now, and not for ten days"


def test_a_box_that_moves_to_another_site_counts_where_it_is(fleet: Site) -> None:
    sites = {f"boxes/{box}.yaml": f"role: vm\nsite: {site}\n" for box, site in (("a", "n"), ("b", "n"), ("c", "s"))}
    fleet.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3, never_together: [site]}\n", **sites})
    first = went(fleet)
    assert len(first) == 2 and "c" in first, "one of each site"
    left = ({"a", "b"} - {*first}).pop()
    fleet.report("c")
    fleet.commit({f"boxes/{left}.yaml": "role: vm\nsite: s\n"})
    assert went(fleet) == left, "its new neighbour is well; the old one is not its neighbour any more"
