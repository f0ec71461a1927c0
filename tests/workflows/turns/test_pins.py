"""Boxes stay on what a tag or a commit gives, and none skips a floor: real passes, each by a controller of its own."""

import json

import pytest

from gitops.assemble.release import Assembled, Assembler
from gitops.model import Box, Health, Revision
from tests.kit.console import toweros
from tests.kit.site import HELLO, WORSE, Site

PIN, FREE = {"boxes/a.yaml": "role: vm\npin: v1\n"}, {"boxes/a.yaml": "role: vm\n"}
ALL = "source: {branch: main}\nrollout: {canaries: 4}\n"
FLOOR = {"fleet.yaml": f"{ALL}floor: v2\n"}


def tag(site: Site, name: str, *options: str) -> None:
    site.remote.git("tag", *(options or ("-a", "-m", name)), name)
    site.remote.git("push", "-q", "-f", "origin", name)


def settle(site: Site, boxes: str = "abc") -> None:
    """Passes until nobody goes any more; who goes is Healthy on it."""
    while site.run().published:
        for box in boxes:
            site.report(box)


@pytest.fixture
def fleet(site: Site) -> Site:
    """v1, and everybody Healthy on it; v2, which is another `hello`, was never deployed."""
    site.commit({"fleet.yaml": ALL})
    tag(site, "v1")
    site.run()
    for box in "abc":
        site.report(box)
    site.commit(HELLO)
    tag(site, "v2")
    return site


def test_a_pinned_box_stays_and_the_others_go_until_the_pin_is_away(fleet: Site) -> None:
    fleet.settings = fleet.settings.model_copy(update={"grace": 0})
    before = fleet.contents()
    fleet.commit({**PIN, **WORSE})
    settle(fleet)
    after = fleet.contents()
    assert after["a"] == before["a"] and after["b"] == after["c"] != before["b"]
    assert fleet.run().plan.empty, "nothing is made again at the next poll, and nothing of it was swept away"
    assert "1 box: stays on v1" in toweros("rollout", "status", "--state", fleet.settings.state).stderr
    fleet.commit(FREE)
    settle(fleet)
    assert fleet.contents() == dict.fromkeys("abc", after["b"])


def test_whoever_was_taken_out_of_the_logins_gets_into_no_pinned_box(
    fleet: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does a pin bring a key back that was taken out, nor does a box that is pinned already keep it."""
    made, play = dict[str, Box](), Assembler.assemble

    def assemble(self: Assembler, box: Box, revision: Revision, server: str) -> Assembled:
        made[box.name] = box
        return play(self, box, revision, server)

    monkeypatch.setattr(Assembler, "assemble", assemble)
    before = fleet.contents()["a"]
    fleet.commit({**PIN, "keys/authorized_keys": "ssh-ed25519 AAAA ben\n"})
    settle(fleet)
    (said,) = (str(file["contents"]) for file in made["a"].files if file["path"] == "etc/ssh/authorized_keys")
    assert said == "ssh-ed25519 AAAA ben\n", "it is made anew, without the key that was taken out"
    assert fleet.contents()["a"] == before, "of the packages that it is pinned to"
    assert fleet.run().plan.empty


def test_a_role_is_pinned_by_a_commit_and_a_box_by_a_lightweight_tag_where_nobody_signs(fleet: Site) -> None:
    old, commit = fleet.contents(), fleet.remote.git("rev-parse", "v1^{commit}").strip()
    fleet.remote.git("tag", "light", "v1^{commit}")
    fleet.remote.git("push", "-q", "origin", "light")
    fleet.commit({"roles/vm.yaml": f"boot: [boot/a.yml]\npin: {commit}\n", "boxes/a.yaml": "role: vm\npin: light\n"})
    assert fleet.run().plan.boxes == () and fleet.contents() == old


def test_what_is_pinned_to_is_built_from_git_when_nobody_had_it_yet(fleet: Site) -> None:
    fleet.commit(WORSE)
    settle(fleet)
    fleet.commit({"boxes/a.yaml": "role: vm\npin: v2\n"})
    fleet.run()
    assert len({*fleet.contents().values()}) == 2
    made, newest = fleet.store.offers.published("a"), fleet.remote.git("rev-parse", "HEAD").strip()
    assert made and made.revision.commit == newest, "the newest commit asks for it, and signs for it"
    assert made.release.sequence == made.revision.sequence, "it is newer than what the box runs"


def test_a_pin_that_cannot_be_had_keeps_the_box_as_it_is_and_stops_no_other(fleet: Site) -> None:
    fleet.remote.git("checkout", "-q", "-b", "aside")
    fleet.remote.git("commit", "-q", "--allow-empty", "-m", "of another branch")
    tag(fleet, "side")
    fleet.remote.git("checkout", "-q", "-")
    old, pins = fleet.contents(), {"a": "v9", "b": f'"{"0" * 40}"', "c": "side"}
    boxes = {f"boxes/{box}.yaml": f"role: vm\npin: {pin}\n" for box, pin in pins.items()}
    fleet.commit({**boxes, "boxes/d.yaml": "role: vm\n"})
    assert fleet.run().published == ("d",)
    held = {box: str(hold) for box, hold in fleet.store.holds.all().items()}
    assert "the remote has no tag v9" in held["a"] and "is no commit before" in held["b"]
    assert "side is no commit before" in held["c"]
    assert {**fleet.contents(), **old} == fleet.contents()


def test_a_tag_that_was_moved_moves_no_box(fleet: Site) -> None:
    old = fleet.contents()["a"]
    fleet.commit(PIN)
    fleet.run()
    tag(fleet, "v1", "-f", "-a", "-m", "moved")
    fleet.commit({"README.md": "another\n"})
    fleet.run()
    assert fleet.contents()["a"] == old
    assert "the tag v1 was moved" in str(fleet.store.holds.all()["a"])


def test_nobody_skips_a_floor_and_each_goes_on_from_there(fleet: Site) -> None:
    """The floor stands in a later commit, and its release is made of Git."""
    fleet.commit({**FLOOR, **WORSE, "boxes/d.yaml": "role: vm\n"})
    assert set(fleet.run().published) == set("abcd")
    at_floor, newest = fleet.contents()["a"], fleet.contents()["d"]
    assert at_floor != newest, "who never ran anything goes to the newest at once"
    assert fleet.run().published == (), "offered, and not Healthy on it yet"
    for box in "ab":
        fleet.report(box)
    assert set(fleet.run().published) == {"a", "b"}
    assert fleet.contents() == {"a": newest, "b": newest, "c": at_floor, "d": newest}
    fleet.report("a", Health.DEGRADED)
    assert fleet.run().plan.empty, "who falls ill on the way from there is not taken there again"
    with fleet.store._database.write() as connection:
        connection.exec_driver_sql("UPDATE values_ SET document = '{' WHERE name = 'aside'")
    assert fleet.run().plan.empty, "a note that is lost moves no box"
    fleet.report("c")
    settle(fleet, "abcd")
    assert fleet.contents() == dict.fromkeys("abcd", newest) and fleet.run().plan.empty


def test_two_floors_one_after_the_other_and_one_that_changes_nothing_for_a_box_is_passed_where_it_is(
    fleet: Site,
) -> None:
    fleet.commit(WORSE)
    tag(fleet, "v3")
    fleet.commit({"pkg/hello/file": "hello 4\n", "fleet.yaml": f"{ALL}floor: [v3, v1, v2]\n"})
    seen = [fleet.contents()["a"]]
    while fleet.run().published:
        seen.append(fleet.contents()["a"])
        for box in "abc":
            fleet.report(box)
    assert len(seen) == len({*seen}) == 4


def test_below_a_floor_that_it_has_passed_no_pin_takes_a_box(fleet: Site) -> None:
    settle(fleet)
    newest = fleet.contents()
    fleet.commit({**FLOOR, **PIN})
    fleet.run()
    assert fleet.contents() == newest and "is below the floor" in str(fleet.store.holds.all()["a"])


def test_a_box_that_was_offered_more_before_there_was_a_floor_is_taken_there_first(fleet: Site) -> None:
    """It was silent for a year, and runs v1: what it skipped has a number that it takes."""
    fleet.commit(WORSE)
    fleet.run()
    offered = fleet.store.offers.published("a")
    fleet.commit(FLOOR)
    fleet.run()
    floor = fleet.store.offers.published("a")
    assert offered and floor and offered.release.content != floor.release.content
    assert floor.release.sequence > offered.release.sequence
    fleet.report("a")
    fleet.run()
    assert "published already" in str(fleet.store.holds.all()["a"]), "the next commit has a number for it"
    fleet.commit({"README.md": "on\n"})
    fleet.run()
    now = fleet.store.offers.published("a")
    assert now and now.release.content == offered.release.content


def test_the_plan_says_who_is_pinned_and_who_changes_by_it(fleet: Site) -> None:
    clone = fleet.remote.work
    fleet.commit({**WORSE, **PIN, "boxes/b.yaml": "role: vm\npin: v9\n"})

    def plan(base: str, head: str = "HEAD", how: str = "table") -> str:
        return " ".join(toweros("plan", "-C", clone, "--base", base, "--head", head, "-o", how).stdout.split())

    said = plan("v2")
    assert "pin: a: nothing -> v1" in said and "pinned to v1: a: 1 of them made of it anew" in said
    assert "pinned to v9: b: this clone has no such tag or commit" in said and "made of v1, its pin" in said
    assert "pinned to v1: a: as it is made of it already" in plan("v1")
    fleet.commit({"boxes/a.yaml": "role: vm\npin: v2\n"})
    one, other = (json.loads(plan("v1", head, "json"))["digest"] for head in ("HEAD", "HEAD^"))
    assert one != other, "what is reviewed is another thing"


def test_a_tag_called_like_a_commit_and_a_branch_show_no_other_plan_than_the_controller_has(fleet: Site) -> None:
    """Whoever may push a tag would choose what a reviewer sees of a pin."""
    clone, git = fleet.remote.work, fleet.remote.git
    v1, v2 = (git("rev-parse", f"{name}^{{commit}}") for name in ("v1", "v2"))
    git("update-ref", f"refs/tags/{v1}", v2)
    fleet.commit({"boxes/a.yaml": f"role: vm\npin: {v1}\n", "boxes/b.yaml": "role: vm\npin: main\n"})
    done = toweros("plan", "-C", clone, "--base", "v1", "--head", "HEAD", "-o", "table")
    said = " ".join(done.stdout.split())
    assert f"pinned to {v1}: a: as it is made of it already" in said
    assert "pinned to main: b: this clone has no such tag or commit" in said
