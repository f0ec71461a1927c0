"""What a pass leaves for people: where each box stands, and how far the commit came; none of it holds up a pass."""

import pytest

from gitops.model import Health
from gitops.store.notes.directory import Place, Roster
from gitops.workflows.turns import told
from gitops.workflows.turns.told import courses
from tests.kit.site import HELLO, Site


def test_where_each_box_stands_follows_git(site: Site) -> None:
    site.commit({"boxes/a.yaml": "role: vm\nsite: mast 7\nlabels: {ring: '1'}\n"})
    site.run()
    roster = site.store.notes.get(Roster)
    assert roster and roster.rows == {"a": Place("vm", "mast 7", {"ring": "1"}), "b": Place("vm"), "c": Place("vm")}
    site.commit({"boxes/a.yaml": 'role: vm\nsite: "mast\\n 8"\npoll: 60\n', "boxes/c.yaml": None})
    site.run()
    roster = site.store.notes.get(Roster)
    assert roster and roster.rows == {"a": Place("vm", "mast 8", poll=60), "b": Place("vm")}


def test_a_course_goes_from_the_first_offer_to_everywhere(site: Site) -> None:
    first = site.run().revision
    for box in "abc":
        site.report(box)
    site.run()
    site.commit(HELLO)
    second = site.run().revision
    assert courses(site.store)[second.commit].boxes == 3
    for _ in range(4):
        for box in site.offers():
            site.report(box)
        site.run()
    found = courses(site.store)
    assert {*found} == {first.commit, second.commit}
    course = found[second.commit]
    assert course.revision == str(second) and course.ended and course.until(1) is not None
    well = [sample.well for sample in course.samples]
    assert well == sorted(well) and well[0] == 0 and well[-1] == 3, "one canary, then the others"


def test_who_failed_is_trouble_and_the_commit_does_not_end(site: Site) -> None:
    site.run()
    for box in "abc":
        site.report(box)
    site.run()
    site.commit(HELLO)
    done = site.run()
    (canary,) = done.published
    site.report(canary, Health.DEGRADED, failed=True)
    site.run()
    course = courses(site.store)[done.revision.commit]
    assert course.ended == 0 and course.samples[-1].trouble == 1 and course.until(1) is None


def test_who_runs_it_and_is_not_well_is_not_counted_as_well(site: Site) -> None:
    site.run()
    for box in "abc":
        site.report(box)
    site.run()
    site.commit(HELLO)
    done = site.run()
    (canary,) = done.published
    site.report(canary, Health.DEGRADED)
    site.run()
    last = courses(site.store)[done.revision.commit].samples[-1]
    assert (last.running, last.well, last.trouble) == (1, 0, 1)


def test_damaged_records_are_written_anew_and_the_pass_goes_on(site: Site) -> None:
    revision = site.run().revision
    with site.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = 'roster' OR name LIKE 'course/%'")
    assert courses(site.store) == {}
    site.run()
    roster = site.store.notes.get(Roster)
    assert roster and len(roster.rows) == 3 and revision.commit in courses(site.store)


def test_old_commits_are_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "KEPT", 2)
    for number in range(4):
        site.commit({"pkg/hello/file": f"{number}\n"})
        site.run()
    assert len(courses(site.store)) == 2
