"""A release is fetched as soon as it exists and taken in its turn: real passes, signed metadata, boxes that say so."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from gitops.model import Health, Phase
from gitops.model.rollout.turns import BoxTurn, Lease
from gitops.publish import Publisher
from gitops.publish.targets import APPLY, NEXT
from gitops.rollout import holds, retries, steering
from gitops.rollout.leases.rules import LEASE
from gitops.rollout.leases.told import told, words
from gitops.server import create_app
from gitops.sign import Signer
from gitops.store.notes.box_keys import BOX_KEYS
from tests.kit.console import toweros
from tests.kit.site import HELLO, WORSE, Site

CELL = {
    "fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3, never_together: [site]}\n",
    "boxes/a.yaml": "role: vm\nsite: s\n",
    "boxes/b.yaml": "role: vm\nsite: s\n",
}
KNOWS = BoxTurn(0, idle=True)


def said(site: Site, member: str) -> dict[str, dict[str, object]]:
    return Publisher(site.store, Signer.open(site.settings.keys, site.store)).said(member)


def leases(site: Site) -> dict[str, Lease]:
    return {box: Lease.parse(each) for box, each in said(site, APPLY).items()}


def says(site: Site, box: str, turn: BoxTurn | None = KNOWS, **report: object) -> None:
    """Another report of a box, that runs what it ran."""
    known = site.store.boxes.report(box)
    assert known
    assert site.store.boxes.save_report(replace(known, counter=known.counter + 1, **report))  # type: ignore[arg-type]
    if turn:
        site.store.notes.put(turn, box)


def went(site: Site) -> str:
    return "".join(sorted(site.run().published))


@pytest.fixture
def fleet(site: Site) -> Site:
    """`a` and `b` are neighbours; all three know of permissions, and a commit waits."""
    site.commit(CELL)
    site.run()
    for box in "abc":
        site.report(box)
        site.store.notes.put(KNOWS, box)
    site.commit(HELLO)
    return site


def test_who_goes_gets_a_permission_and_who_waits_is_told_what_to_fetch(fleet: Site) -> None:
    first = went(fleet)
    assert first in ("ac", "bc")
    (other,) = {*"abc"} - {*first}
    given = leases(fleet)
    assert given.keys() == {*first} and all(LEASE - 60 < each.until - time.time() <= LEASE for each in given.values())
    coming = said(fleet, NEXT)
    assert coming.keys() == {other}
    (waits,) = fleet.store.offers.candidates([other])
    assert coming[other]["release"] == {"sha256": waits.document.sha256, "size": waits.document.size}
    assert said(fleet, APPLY)[first[0]]["veto"] == 7200
    fleet.report(first[0])
    assert went(fleet) == other and not said(fleet, NEXT) and first[0] not in leases(fleet)


def test_people_see_until_when_a_box_may_restart(fleet: Site) -> None:
    """From `toweros status` and the box's page; nothing of it once the box has used it, or gave it back."""
    went(fleet)
    box = sorted(leases(fleet))[0]
    given = leases(fleet)[box]
    assert told(fleet.store, box) == {"number": given.number, "until": given.until, "stopped": ""}
    until = f"{datetime.fromtimestamp(given.until, UTC):%Y-%m-%d %H:%M} UTC"
    assert words(told(fleet.store, box), given.until - 1) == f"until {until}"
    assert words(told(fleet.store, box), given.until) == f"ended {until}: the box was not heard since"
    state = fleet.settings.state
    assert f"until {until}" in " ".join(toweros("status", box, "--state", state).output.split())
    page = TestClient(create_app(fleet.store, fleet.settings)).get(f"/boxes/{box}").text
    assert f"<dt>May restart</dt><dd>until {until}</dd>" in page
    says(fleet, box, BoxTurn(given.number, idle=True))
    assert told(fleet.store, box) == {} and "May restart" not in TestClient(
        create_app(fleet.store, fleet.settings)
    ).get(f"/boxes/{box}").text  # fmt: skip


def test_boxes_of_an_older_agent_are_offered_theirs_when_they_may_go_and_nothing_else(fleet: Site) -> None:
    fleet.store.notes.forget(BoxTurn, "abc")
    assert len(went(fleet)) == 2
    assert said(fleet, APPLY) == said(fleet, NEXT) == {}


def test_a_box_that_goes_back_to_an_older_agent_is_told_nothing_that_it_would_take_early(fleet: Site) -> None:
    first = went(fleet)
    (other,) = {*"abc"} - {*first}
    fleet.store.notes.forget(BoxTurn, [other])
    assert went(fleet) == "" and other not in said(fleet, NEXT) and other not in fleet.run().published


def test_a_permission_that_was_given_back_is_asked_for_again_and_the_neighbour_may_go(fleet: Site) -> None:
    first = went(fleet)
    near, (other,) = first[0], {*"abc"} - {*first}
    says(fleet, near, BoxTurn(leases(fleet)[near].number, idle=True, state="waiting"))
    assert went(fleet) == other
    again = leases(fleet)
    assert sum(each.until > time.time() and each.number > turn for each, turn in
               ((again[box], fleet.store.notes.get(BoxTurn, box).spent) for box in (near, other))) == 1  # type: ignore[union-attr]  # fmt: skip


def test_a_silent_box_keeps_its_neighbour_until_it_is_heard(fleet: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = went(fleet)
    near, real = first[0], time.time
    until = leases(fleet)[near].until
    monkeypatch.setattr(time, "time", lambda: real() + 2 * LEASE)
    for _ in range(2):
        assert went(fleet) == "" and leases(fleet)[near].until == until, "nobody renews it"
    assert "waits for its neighbour" in " ".join(map(str, fleet.store.holds.all().values()))


def test_a_freeze_takes_permissions_back_and_a_thaw_gives_new_ones(fleet: Site) -> None:
    first = went(fleet)
    steering.pause(fleet.store, "ada", "the mast is open", 1_795_000_000)
    assert went(fleet) == ""
    assert all(each.stopped.startswith("frozen: ada: the mast is open") for each in leases(fleet).values())
    for box in first:
        says(fleet, box, BoxTurn(leases(fleet)[box].number, idle=True, state="waiting"))
    assert went(fleet) == "" and str(fleet.store.holds.all()[first[0]]).startswith("frozen: ada")
    steering.resume(fleet.store, "ada")
    fleet.run()
    (other,) = {*"abc"} - {*first}
    fresh = {box: each.number for box, each in leases(fleet).items() if not each.stopped}
    assert fresh == {"c": 2, other: 1}, "who had no turn yet goes before"


def test_a_newer_commit_takes_them_back_and_the_neighbour_waits_until_that_is_heard(fleet: Site) -> None:
    first = went(fleet)
    near, (other,) = first[0], {*"abc"} - {*first}
    frozen = f"role: vm\nsite: s\nfreeze: 'ada: {near} alone'\n"
    fleet.commit({**WORSE, f"boxes/{near}.yaml": frozen})
    assert other not in went(fleet), "the first one may restart yet: it has not heard"
    assert leases(fleet)[near].stopped
    says(fleet, near, BoxTurn(leases(fleet)[near].number, idle=True))
    assert other in went(fleet)


def test_what_is_held_by_an_operator_is_not_even_fetched(fleet: Site) -> None:
    holds.hold(fleet.store, "b", "ada", "disk", 1_795_000_000)
    fleet.run()
    assert "b" not in said(fleet, NEXT) and "b" not in leases(fleet)


def test_who_is_held_with_a_permission_loses_it_and_its_neighbour_goes_when_that_is_heard(fleet: Site) -> None:
    first = went(fleet)
    near, (other,) = first[0], {*"abc"} - {*first}
    holds.hold(fleet.store, near, "ada", "disk", 1_795_000_000)
    assert went(fleet) == "" and leases(fleet)[near].stopped.startswith("ada: disk")
    says(fleet, near, BoxTurn(leases(fleet)[near].number, idle=True))
    assert went(fleet) == other


def test_who_went_back_from_it_too_often_gets_no_permission_before_it_asks(fleet: Site) -> None:
    near = went(fleet)[0]
    number = leases(fleet)[near].number
    says(fleet, near, BoxTurn(number, idle=True))  # nothing is to come, it says: it does not take that
    for _ in range(2):
        fleet.run()
    assert leases(fleet)[near].number == number
    says(fleet, near, BoxTurn(number, idle=True, state="waiting"))  # `toweros retry`
    for box in "ab":
        fleet.report(box) if box != near and fleet.store.offers.published(box) else None
    fleet.run()
    assert leases(fleet)[near].number == number + 1


def test_what_is_tried_again_waits_for_its_turn_like_anything_else(fleet: Site) -> None:
    """A freeze, a window, a neighbour: `toweros retry` is no way around them, and a box that finds no permission at all
    in what is signed would take that for an older controller's leave."""
    near = went(fleet)[0]
    number = leases(fleet)[near].number
    fleet.report(near, failed=True)
    says(fleet, near, BoxTurn(number, idle=True), retried=())
    fleet.run()
    assert leases(fleet)[near].number == number, "it is used up, and it is there"
    steering.pause(fleet.store, "ada", "the mast is open", 1_795_000_000)
    retries.retry(fleet.store, near, "ada", "the mast was down", 1_795_000_001)
    fleet.run()
    says(fleet, near, BoxTurn(number, idle=True, state="waiting"))
    fleet.run()
    assert leases(fleet)[near].number == number
    steering.resume(fleet.store, "ada")
    fleet.run()
    assert number + 1 in {each.number for box, each in leases(fleet).items() if box == near} | {
        number + 1 for box in "ab" if box != near and not leases(fleet).get(box, Lease(0, 0)).stopped
    }


def test_a_box_on_its_way_down_is_not_taken_for_one_that_gave_back(fleet: Site) -> None:
    first = went(fleet)
    near = first[0]
    lease = leases(fleet)[near]
    says(fleet, near, BoxTurn(lease.number), phase=Phase.REBOOTING, health=Health.PROGRESSING)
    assert went(fleet) == "" and leases(fleet)[near] == lease


def test_a_damaged_record_gives_nobody_leave(fleet: Site) -> None:
    first = went(fleet)
    name = BOX_KEYS[BoxTurn] + first[0]
    with fleet.store._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE values_ SET document = '{{' WHERE name = '{name}'")
    assert went(fleet) == "" and leases(fleet).keys() == {*first}


def test_a_reverted_commit_leaves_nothing_to_fetch(fleet: Site) -> None:
    fleet.run()
    assert said(fleet, NEXT)
    fleet.remote.git("revert", "--no-edit", "HEAD")
    fleet.remote.git("push", "-q", "-f", "origin", "HEAD")
    fleet.run()
    (other,) = {box for box in "ab" if box not in leases(fleet)} or {""}
    assert other not in said(fleet, NEXT)
