"""Updates reach the fleet repo as signed commits of locks, once, and whatever goes wrong leaves it as it was."""

import re
import threading

import pytest
from fastapi.testclient import TestClient

from gitops.model import Health
from gitops.server import create_app
from tests.kit.databases import both
from tests.kit.updates import DAY, LOCK, Patched, with_forge
from tests.simulators.forge import REPOSITORY, Fault, Forge, forge

OURS = "toweros/security/openssl"
NEW = "locks: openssl 3.5.7-1 -> 3.5.9-1"


@both
def test_an_update_is_one_signed_commit_of_locks_that_deploys_as_any_other(patched: Patched) -> None:
    patched.says("{how: commit}")
    before = patched.refs["main"]
    patched.update()
    patched.look()
    assert patched.refs["main"] == before, "not due yet"
    patched.later()
    patched.look()
    head = patched.refs["main"]
    assert (patched.show(head), patched.show(head, "%P")) == (NEW, before)
    assert patched.changes(head) == [LOCK] and patched.locked(head) == {
        "libssl3": "3.5.9-1",
        "libz": "1.0-1",
        "tool": "1.0",
    }
    assert "BEGIN SSH SIGNATURE" in patched.site.remote.git("cat-file", "commit", head, cwd=patched.site.remote.bare)
    assert "openssl 3.5.7-1 -> 3.5.9-1" in patched.show(head, "%b") and "not known" in patched.show(head, "%b")
    assert patched.built.count("pkg/hello") == 2, "tried before, and not built again when it deploys"
    patched.look()
    assert patched.built.count("pkg/hello") == 2 and patched.run().outcome == "1 of 1 updates offered"
    assert patched.events("Proposed") == [f"main@{head[:12]}: openssl 3.5.7-1 -> 3.5.9-1"]


def test_the_loop_looks_between_passes_and_the_metrics_say_so(
    patched: Patched, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched.says("{how: pull-request}")
    patched.update()
    patched.later()
    controller, store, _ = patched.site.start()
    controller._updates._timetable._clock = controller._updates._clock = lambda: patched.now  # type: ignore[assignment]
    stop = threading.Event()
    review = controller._review
    monkeypatch.setattr(controller, "_review", lambda error=None: (stop.set(), review(error)))
    with store.lease.held():
        controller.run_forever(stop)
    assert patched.show(OURS) == NEW
    web = TestClient(create_app(store, patched.site.settings))
    metrics = web.get("/metrics").text
    said = re.search(r'toweros_security_last_run_timestamp_seconds{schedule="packages"} (\S+)', metrics)
    assert said and float(said[1]) == patched.now
    assert "toweros_security_proposals 1.0" in metrics and "toweros_security_held 0.0" in metrics


def test_nothing_new_upstream_is_no_commit_no_build_and_conditional_requests_only(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.later()
    patched.look()
    before, built = patched.refs["main"], list(patched.built)
    patched.debian.asked.clear()
    for _ in range(3):
        patched.later()
        patched.look()
    assert patched.refs["main"] == before and patched.built == built and patched.run().outcome == "nothing new"
    assert {path.rpartition("/")[2] for path in patched.debian.asked} == {"InRelease"}


@both
def test_a_missed_time_is_made_up_once(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.later(10 * DAY)
    patched.look()
    first = patched.run()
    assert first.started == first.last == patched.now
    patched.later(60)
    patched.look()
    assert patched.run() == first


@both
def test_two_controllers_never_run_one_twice(patched: Patched) -> None:
    """The second one takes over after the first has begun, finished or died: what is finished is not run again."""
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    patched.look()
    head, run = patched.refs["main"], patched.run()
    for _ in range(3):
        patched.look()  # each look is another controller
    assert (patched.refs["main"], patched.run()) == (head, run)


def test_a_branch_that_is_ahead_is_waited_for_and_taken_up_from_its_new_head(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    controller, store, builder = patched.site.start()
    with store.lease.held():
        done = controller.run_once()
        patched.site.commit({"README.md": "somebody else's\n"})
        theirs = patched.refs["main"]
        patched.updates(builder).run_due(controller._load(done.revision), done.revision)
    assert patched.refs["main"] == theirs and "not deployed" in patched.run().outcome
    patched.later(60)
    patched.look()
    assert patched.show("main") == NEW and patched.show("main", "%P") == theirs


def test_each_source_is_a_commit_of_its_own_and_all_can_be_one(patched: Patched) -> None:
    patched.says("{how: commit}")
    base = patched.refs["main"]
    patched.update()
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    assert patched.show("main") == "locks: zlib 1.0-1 -> 1.1-1" and patched.show("main^") == NEW
    assert patched.changes("main") == [LOCK, "pkg/init/packages.lock"] and patched.show("main~2", "%H") == base
    patched.says("{how: commit, group: all}")
    patched.update("libssl3", "3.5.10-1")
    patched.update("libz", "1.2-1", "zlib")
    patched.later()
    patched.look()
    assert patched.show("main") == "locks: 2 source packages updated"


def test_what_does_not_build_is_held_and_the_others_go(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.fail = "pkg/init"  # which has libz alone
    patched.update()
    patched.look()
    assert patched.show("main") == NEW and patched.locked("main")["libz"] == "1.0-1"
    (held,) = patched.patches.held.values()
    assert [str(move) for move in held.moves] == ["zlib 1.0-1 -> 1.1-1"] and "pkg/init does not build" in held.why
    patched.fail = ""
    for _ in range(2):
        patched.later()
        patched.look()
    assert patched.show("main") == NEW, "the same set is not tried again"
    patched.update("libz", "1.2-1", "zlib")
    patched.later()
    patched.look()
    assert patched.show("main") == "locks: zlib 1.0-1 -> 1.2-1" and not patched.patches.held


def test_a_set_that_does_not_build_is_taken_apart(patched: Patched) -> None:
    patched.says("{how: commit, group: all}")
    patched.update("libz", "1.1-1", "zlib")
    patched.update()
    patched.fail = "pkg/init"
    before = patched.refs["main"]
    patched.later()
    patched.look()
    assert patched.show("main", "%P") == before and len(patched.patches.held) == 2
    assert patched.show("main") == NEW and patched.locked("main")["libz"] == "1.0-1"


def test_an_update_that_boxes_go_back_from_is_taken_back_and_held(patched: Patched) -> None:
    site = patched.site
    patched.says("{how: commit}")
    for box in site.offers():
        site.report(box)
    patched.update()
    patched.later()
    patched.look()
    patched.look()  # it deploys: the canary is offered it
    site.report("a", failed=True)
    patched.look()
    assert patched.show("main") == "locks: take back openssl 3.5.9-1" or patched.show("main").startswith(
        "locks: take back"
    )
    assert patched.changes("main") == [LOCK] and patched.locked("main")["libssl3"] == "3.5.7-1"
    assert "no answer" in patched.show("main", "%b") and len(patched.patches.held) == 1
    head = patched.refs["main"]
    for _ in range(2):
        patched.later()
        patched.look()
    assert patched.refs["main"] == head
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    assert patched.show("main") == "locks: zlib 1.0-1 -> 1.1-1", "the others go on"


def test_an_update_that_every_box_keeps_is_done(patched: Patched) -> None:
    site = patched.site
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    patched.look()
    assert set(patched.patches.proposals) == {"openssl"}
    for _ in range(3):
        patched.look()
        for box in site.offers():
            site.report(box, Health.HEALTHY)
    patched.look()
    assert patched.patches.proposals == {}


def test_an_update_waits_for_its_soak(patched: Patched) -> None:
    patched.says("{how: commit, every: 6 hours, soak: {unknown: 2 days}}")
    before = patched.refs["main"]
    patched.update()
    for _ in range(7):
        patched.later(7 * 3600)
        patched.look()
        assert patched.refs["main"] == before
    patched.later(7 * 3600)
    patched.look()
    assert patched.show("main") == NEW


def test_tags_deploy_the_next_patch_version(patched: Patched) -> None:
    git = patched.site.remote.git
    git("tag", "-a", "-m", "first", "v1.2.3")
    git("push", "-q", "origin", "v1.2.3")
    patched.site.commit({"fleet.yaml": 'source: {tags: "v*"}\nsecurity: {how: tag}\n'})
    git("tag", "-a", "-m", "next", "v1.2.4")
    git("push", "-q", "origin", "v1.2.4")
    patched.look()
    patched.update()
    patched.later()
    patched.look()
    assert patched.show("v1.2.5") == NEW and patched.refs["main"] == patched.show("v1.2.5", "%H")
    patched.look()
    assert patched.run().outcome == "1 of 1 updates offered"
    patched.site.commit({"README.md": "not released\n"})
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    assert "v1.2.6" not in patched.refs and "not deployed" in patched.run().outcome


# --- attacks, and things that are away --------------------------------------------------------------------------------


def stays(patched: Patched, why: str) -> None:
    before = dict(patched.refs)
    patched.later()
    patched.look()
    assert dict(patched.refs) == before and why in patched.run().error
    assert any(why in message for message in patched.events("Updates"))


def test_an_index_that_nobody_signed_is_refused(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.later()
    patched.look()
    patched.debian.add("libssl3", "3.5.9-1", suite="trixie-security", source="openssl")
    patched.debian.publish(signed=False)
    stays(patched, "mirrors cannot be read")


def test_a_file_with_other_bytes_than_the_index_says_is_refused(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    (file,) = patched.debian.root.glob("pool/*/*/libssl3_3.5.9-1_amd64.deb")
    file.write_bytes(b"x" * file.stat().st_size)
    stays(patched, "other bytes than the lock says")
    assert not any("3.5.9" in message for message in patched.events("Proposed"))


def test_a_withdrawn_version_is_not_gone_back_to(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    patched.look()
    head = patched.refs["main"]
    patched.debian.withdraw("libssl3", "3.5.9-1")
    patched.debian.publish()
    patched.later()
    patched.look()
    assert patched.refs["main"] == head and patched.run().error == ""


def test_mirrors_that_are_away_are_asked_again_before_the_next_time(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    away = patched.debian.root.rename(patched.debian.root.with_name("away"))
    stays(patched, "mirrors cannot be read")
    away.rename(patched.debian.root)
    patched.later(600)
    patched.look()
    assert patched.show("main") == NEW and patched.run().error == ""


def test_a_remote_that_lets_nobody_push_is_told(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    hook = patched.site.remote.bare / "refs/heads/main.lock"
    hook.touch()
    before = patched.refs["main"]
    patched.later()
    patched.look()
    hook.unlink()
    assert patched.refs["main"] == before and patched.run().error


def planned(patched: Patched, hub: Forge) -> str:
    """What the reviewer writes under a pull request."""
    site, pull = patched.site, hub.pulls[0]
    site.remote.git("update-ref", f"refs/pull/{pull['number']}/head", pull["head"]["sha"], cwd=site.remote.bare)
    controller, store, _ = site.start()
    reviews = controller._reviews
    assert reviews
    with store.lease.held():
        done = controller.run_once()
        reviews.round(controller._load(done.revision), done.revision)
    (comment,) = hub.ours(pull["number"])
    return comment


# --- pull requests ----------------------------------------------------------------------------------------------------


def test_an_update_is_a_branch_of_our_own_that_follows_what_comes(patched: Patched) -> None:
    patched.says("{how: pull-request}")
    main = patched.refs["main"]
    patched.update()
    patched.later()
    patched.look()
    first = patched.refs[OURS]
    assert (patched.show(OURS), patched.show(OURS, "%P"), patched.changes(OURS)) == (NEW, main, [LOCK])
    patched.later()
    patched.look()
    assert patched.refs[OURS] == first and patched.refs["main"] == main
    patched.update("libssl3", "3.5.10-1")
    patched.later()
    patched.look()
    assert patched.show(OURS) == "locks: openssl 3.5.7-1 -> 3.5.10-1" and patched.show(OURS, "%P") == main
    patched.site.commit({"README.md": "words\n"})
    patched.look()
    patched.later()
    patched.look()
    assert patched.show(OURS, "%P") == patched.refs["main"], "it stands on what is deployed"


def test_somebody_else_s_commit_on_our_branch_is_never_overwritten(patched: Patched) -> None:
    patched.says("{how: pull-request}")
    patched.update()
    patched.later()
    patched.look()
    git = patched.site.remote.git
    git("fetch", "-q", "origin")
    git("checkout", "-q", "-b", "mine", f"origin/{OURS}")
    theirs = patched.site.remote.commit("mine", push=False)
    git("push", "-q", "origin", f"HEAD:refs/heads/{OURS}")
    patched.update("libssl3", "3.5.10-1")
    patched.later()
    patched.look()
    assert patched.refs[OURS] == theirs and "somebody else" in patched.run().error
    git("push", "-q", "origin", f":refs/heads/{OURS}")
    patched.later()
    patched.look()
    assert patched.show(OURS) == "locks: openssl 3.5.7-1 -> 3.5.10-1"


def test_a_pull_request_is_opened_kept_up_to_date_and_closed_when_it_is_empty(patched: Patched) -> None:
    with forge() as hub:
        hub.branches = patched.refs  # type: ignore[assignment]
        with_forge(patched, hub.url, REPOSITORY)
        patched.says("{how: pull-request}")
        patched.update()
        patched.later()
        patched.look()
        (pull,) = hub.pulls
        assert (pull["title"], pull["head"]["ref"], pull["base"]["ref"]) == (NEW, OURS, "main")
        assert "- **openssl** 3.5.7-1 -> 3.5.9-1" in pull["body"] and "Locks: pkg/hello" in pull["body"]
        assert "pkg/hello" in planned(patched, hub), "as under any other"
        asked = len(hub.asked("POST") + hub.asked("PATCH"))
        patched.later()
        patched.look()
        assert len(hub.asked("POST") + hub.asked("PATCH")) == asked, "nothing is written twice"
        patched.update("libssl3", "3.5.10-1")
        patched.later()
        patched.look()
        assert [each["title"] for each in hub.pulls] == ["locks: openssl 3.5.7-1 -> 3.5.10-1"]
        patched.relock()  # somebody does it by hand
        patched.look()
        patched.later()
        patched.look()
        assert hub.pulls[0]["state"] == "closed" and OURS not in patched.refs and not patched.patches.proposals


def test_pull_requests_are_closed_when_updates_shall_go_by_themselves(patched: Patched) -> None:
    with forge() as hub:
        hub.branches = patched.refs  # type: ignore[assignment]
        with_forge(patched, hub.url, REPOSITORY)
        patched.says("{how: pull-request}")
        patched.update()
        patched.later()
        patched.look()
        patched.says("{how: commit}")
        patched.later()
        patched.look()
        assert hub.pulls[0]["state"] == "closed" and OURS not in patched.refs and patched.show("main") == NEW


def test_a_forge_that_is_away_is_tried_again(patched: Patched) -> None:
    with forge() as hub:
        hub.branches = patched.refs  # type: ignore[assignment]
        with_forge(patched, hub.url, REPOSITORY)
        patched.says("{how: pull-request}")
        patched.update()
        hub.faults.append(Fault(503))
        patched.later()
        patched.look()
        assert patched.show(OURS) == NEW and not hub.pulls and "503" in patched.run().error
        patched.later(600)
        patched.look()
        assert len(hub.pulls) == 1 and patched.run().error == ""


def test_what_may_be_merged_by_itself_is_merged_when_it_is_ripe_and_builds(patched: Patched) -> None:
    patched.says("{how: pull-request, every: 6 hours, merge: [unknown], soak: {unknown: 1 day}}")
    main = patched.refs["main"]
    patched.update()
    patched.later(7 * 3600)
    patched.look()
    ours = patched.refs[OURS]
    assert patched.refs["main"] == main
    patched.later()
    patched.look()
    assert patched.refs["main"] == ours == patched.show(NEW and "main", "%H")
    patched.look()
    patched.later()
    patched.look()
    assert OURS not in patched.refs


def test_two_sources_are_two_branches_and_one_that_needs_the_other_takes_it_along(patched: Patched) -> None:
    patched.says("{how: pull-request}")
    patched.update()
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    assert {name for name in patched.refs if name.startswith("toweros/")} == {OURS, "toweros/security/zlib"}
    patched.update("libssl3", "3.5.10-1", depends="libz (>= 1.1)")
    patched.later()
    patched.look()
    assert {name for name in patched.refs if name.startswith("toweros/")} == {
        "toweros/security/openssl+zlib",
        "toweros/security/zlib",
    } or {name for name in patched.refs if name.startswith("toweros/")} == {"toweros/security/openssl+zlib"}
    assert patched.locked("toweros/security/openssl+zlib") == {"libssl3": "3.5.10-1", "libz": "1.1-1", "tool": "1.0"}
