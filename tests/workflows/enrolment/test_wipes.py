"""Whole passes of the controller: an order in Git, the box's last word, and what is left of a box that Git drops."""

import json
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.exceptions import HTTPException

from gitops.model import Fleet, Health, Phase, Policy
from gitops.rollout.status import LIVES, box_status, fleet_status
from gitops.server.boxes.reports import take
from gitops.store.notes.wiped import Wiped
from gitops.store.tables import notes
from gitops.workflows.enrolment import desk
from gitops.workflows.enrolment.wiping import SETTLES, follow
from tests.kit.databases import both
from tests.kit.site import HELLO, Site

KEY, NEXT = "ab" * 32, "cd" * 32
ORDER = f'role: vm\nwipe: {{key: "{KEY}", why: "ada: sold"}}\n'


def health(site: Site, box: str, later: int = 0) -> str:
    status = box_status(site.store, box, int(time.time()) + later)
    return str(status.health) if status else "none"


def says_wiping(site: Site, box: str) -> None:
    report = site.store.boxes.report(box)
    assert report
    said = replace(report, counter=report.counter + 1, phase=Phase.WIPING, health=Health.PROGRESSING)
    assert site.store.boxes.save_report(said)


def shown(site: Site) -> set[str]:
    """Whom page, metrics and `toweros status` speak of."""
    return {each.box for each in fleet_status(site.store, int(time.time())).boxes}


def signed_orders(site: Site) -> dict[str, str]:
    """Box -> whose machine is to be wiped, as the signed metadata say."""
    return {
        path.partition("/")[0]: str(target.custom["wipe"])
        for path, target in site._targets().items()
        if "wipe" in target.custom
    }


@both
def test_an_order_is_signed_with_the_pass_that_deploys_it_and_goes_with_the_one_that_takes_it_back(site: Site) -> None:
    site.run()
    for box in "abc":
        site.report(box)
    offers = site.offers()
    site.commit({"boxes/b.yaml": ORDER})
    site.run()
    assert signed_orders(site) == {"b": KEY}
    assert site.offers() == offers, "it is no new release, and reaches a box that is held as well"
    site.commit({"boxes/b.yaml": "role: vm\n"})
    site.run()
    assert signed_orders(site) == {}


def test_who_is_to_be_wiped_is_nobodys_canary(site: Site) -> None:
    """It is about to be gone: the others of its role would wait for ever."""
    site.run()
    for box in "abc":
        site.report(box)
    site.run()
    site.commit({"boxes/a.yaml": ORDER, **HELLO})
    site.run()
    assert site.contents()["b"] != site.contents()["c"], "b goes first in its place"
    site.report("b")
    site.run()
    assert site.contents()["b"] == site.contents()["c"]


@both
def test_wiped_it_is_until_another_machine_has_the_name_and_the_order_in_git_is_no_matter_of_that_one(
    site: Site,
) -> None:
    site.run()
    site.report("b")
    site.commit({"boxes/b.yaml": ORDER})
    site.run()
    assert health(site, "b") == Health.HEALTHY
    says_wiping(site, "b")
    site.run()
    assert health(site, "b", 86400) == Health.WIPED, "silence is what was asked for"
    events = [each.reason for each in site.store.events.latest("b", 20)]
    assert events.count("Wiped") == 1
    site.run()
    assert [each.reason for each in site.store.events.latest("b", 20)].count("Wiped") == 1, "told once"
    desk.let_in(site.store, "b", NEXT, replace=True)
    site.store.boxes.replace_key("b", KEY, NEXT)
    site.report("b")
    site.run()
    assert health(site, "b") == Health.HEALTHY and signed_orders(site) == {"b": KEY}


def test_a_wipe_that_cannot_be_written_does_not_stay_wiped_and_its_key_counts_no_more_for_it(site: Site) -> None:
    """The box starts as it is, minutes later; so does whoever copied its disk in time."""
    site.run()
    private = Ed25519PrivateKey.generate()
    key = private.public_key().public_bytes_raw().hex()
    site.store.boxes.enroll("b", key)
    site.report("b")
    site.commit({"boxes/b.yaml": ORDER.replace(KEY, key)})
    says_wiping(site, "b")
    site.run()
    follow(site.store, Fleet(Policy(branch="main"), {}, {}), int(time.time()) + SETTLES + 60)
    assert health(site, "b") == Health.WIPED

    def says(counter: int, **more: object) -> None:
        report = {
            "format": 1,
            "box": "b",
            "boot_id": "later",
            "counter": counter,
            "time": 0,
            "agent": "1",
            "sequence": 1,
        }
        report |= {"release": "", "content": "", "phase": "idle", "health": "Healthy", **more}
        text = json.dumps(report)
        body = {"report": text, "signature": private.sign(text.encode()).hex(), "key": key}
        with pytest.raises(HTTPException) as refused:
            take(site.store, "b", json.dumps(body).encode())
        assert refused.value.status_code == 403

    says(1)
    assert health(site, "b") == Health.DEGRADED
    status = box_status(site.store, "b", int(time.time()))
    assert status and status.error == LIVES
    says(2, error="its disk cannot be written; destroy it", health="Degraded")
    status = box_status(site.store, "b", int(time.time()))
    assert status and "destroy it" in status.error and desk.requests(site.store, int(time.time()), "b") == []
    says(3, phase="wiping", health="Progressing")
    assert health(site, "b") == Health.WIPED, "its last word counts"


def test_a_record_of_the_wiped_that_is_damaged_costs_no_pass(site: Site) -> None:
    site.run()
    site.report("b")
    site.commit({"boxes/b.yaml": ORDER})
    says_wiping(site, "b")
    site.run()
    with site.store._database.write() as connection:
        connection.execute(notes.update().where(notes.c.name == "wiped").values(document="x"))
    assert health(site, "b") != Health.WIPED
    site.run()
    assert health(site, "b") == Health.WIPED, "it is written again from its last report"


def test_a_box_that_git_drops_is_offered_nothing_and_its_key_is_ended_by_hand(site: Site) -> None:
    """Its file may come back with the next commit, so the key stays until somebody says otherwise."""
    site.run()
    for box in "abc":
        site.report(box)
    site.commit({"boxes/b.yaml": None})
    done = site.run()
    assert [step.subject for step in done.plan.removed] == ["b"] and "b" not in site.offers()
    row = site.store.boxes.row("b")
    assert row and not row.revoked, "taken back, it is what it was"
    site.commit({"boxes/b.yaml": "role: vm\n"})
    site.run()
    assert "b" in site.offers()
    site.commit({"boxes/b.yaml": None})
    site.run()
    assert shown(site) == {"a", "b", "c"}, "it lives, and says so"
    desk.revoke(site.store, "b")
    assert shown(site) == {"a", "c"}, "nobody is woken for a box that is gone"


def test_a_wiped_box_that_git_drops_is_gone_without_another_hand(site: Site) -> None:
    site.run()
    for box in "abc":
        site.report(box)
    site.commit({"boxes/b.yaml": ORDER})
    says_wiping(site, "b")
    site.run()
    assert shown(site) == {"a", "b", "c"}
    site.commit({"boxes/b.yaml": None})
    site.run()
    later = int(time.time()) + SETTLES + 60
    follow(site.store, Fleet(Policy(branch="main"), {}, {}), later)
    row = site.store.boxes.row("b")
    assert row and row.revoked and shown(site) == {"a", "c"}
    follow(site.store, Fleet(Policy(branch="main"), {}, {}), later)
    assert site.store.notes.get(Wiped) == Wiped({})
