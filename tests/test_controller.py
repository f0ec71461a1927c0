"""Stories of the loop: what Git says reaches the boxes, whatever dies, lies or fills up in between.

Git, the store, the keys, the metadata and the rollout are real. Building and assembling, which need buildah and the
toolbox, are played by `PlayedBuilder`: images and layers are small files whose names follow from the same inputs.
"""

import functools
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gitops.errors import AssembleError, BuildError, FleetError, SourceError, StoreError, TowerosError
from gitops.model import EventType, Health, Hold, HoldReason, Image
from gitops.plan import LOST
from gitops.rollout import holds
from gitops.rollout.places import places
from gitops.sign import secureboot
from gitops.source.memory import StoredMemory
from gitops.store.lease import Holder
from gitops.store.notes.box_keys import BootChecked
from gitops.store.notes.documents import Status
from gitops.workflows.offer import SUPERSEDED
from tests.kit.databases import both
from tests.kit.edges import Edges, seen
from tests.kit.published import published, table_rows
from tests.kit.registry import Pushed
from tests.kit.site import FILES, HELLO, WORSE, Site
from tests.kit.trust import as_0_1_0_left_it
from tests.simulators.registry import DockerRegistry


class Killed(BaseException):
    """What a power cut is to a process: no handler runs."""


def everybody_reports(site: Site) -> None:
    for box in site.offers():
        site.report(box)


def test_the_first_pass_builds_all_and_the_second_nothing(site: Site) -> None:
    first = site.run()
    assert first.published == ("a", "b", "c") and len(first.plan.builds) == 6
    assert set(site.offers()) == {"a", "b", "c"}
    assert {box: place.role for box, place in places(site.store).items()} == dict.fromkeys("abc", "vm")
    second = site.run()
    assert second.plan.empty and second.published == ()


def test_a_readme_commit_changes_no_box(site: Site) -> None:
    site.run()
    before = site.offers()
    site.commit({"README.md": "more words\n"})
    done = site.run()
    assert done.plan.empty and done.published == () and site.offers() == before


def test_a_box_that_runs_from_a_medium_is_nobodys_canary(site: Site) -> None:
    """It never takes a newer release: the others would wait for ever."""
    site.run()
    everybody_reports(site)
    site.store.notes.put(BootChecked(True, "medium"), "a")
    site.commit(HELLO)
    assert site.run().published == ("b",)
    site.report("b")
    assert site.run().published == ("a", "c"), "it is offered all the same: its page says what it lacks"
    everybody_reports(site)
    site.store.notes.put(BootChecked(True), "a")
    site.commit(WORSE)
    assert site.run().published == ("a",), "on a disk again"


@both
def test_a_canary_goes_first_a_bad_commit_stops_there_and_the_fix_goes_through(site: Site) -> None:
    site.run()
    everybody_reports(site)
    good = site.contents()
    site.commit(HELLO)
    done = site.run()
    assert done.published == ("a",) and set(done.held) == {"b", "c"}
    site.report("a", failed=True)
    stopped = site.run()
    assert stopped.published == () and stopped.held["b"] == Hold(HoldReason.STOPPED, "a")
    assert site.contents()["b"] == good["b"]
    site.commit(WORSE)
    assert site.run().published == ("a",)
    site.report("a", Health.PROGRESSING)
    assert site.run().published == ()
    site.report("a")
    assert site.run().published == ("b", "c")
    assert len(set(site.contents().values())) == 1 and site.store.holds.all() == {}


@both
def test_a_revert_while_candidates_wait_takes_them_back(site: Site) -> None:
    site.run()
    everybody_reports(site)
    good = site.contents()
    site.commit(HELLO)
    assert site.run().published == ("a",)
    site.commit({"pkg/hello/file": "hello\n"})
    done = site.run()
    assert done.published == ("a",) and done.held == {} and site.contents() == good
    assert not site.store.offers.waiting(99)


def test_held_boxes_and_fleets_take_nothing_until_they_are_free(site: Site) -> None:
    site.run()
    everybody_reports(site)
    site.commit({**HELLO, "boxes/a.yaml": 'role: vm\nsuspended: "ada: disk"\n'})
    done = site.run()
    assert done.published == ("b",) and done.held["a"] == Hold(HoldReason.SUSPENDED, "ada: disk")
    site.report("b")
    site.commit({"fleet.yaml": 'source: {branch: main}\nsuspended: "audit"\n'})
    done = site.run()
    assert done.published == () and "audit" in done.held["c"].detail
    site.commit({"fleet.yaml": FILES["fleet.yaml"], "boxes/a.yaml": "role: vm\n"})
    assert site.run().published == ("a", "c")


def test_an_offer_is_held_too_and_let_go_when_people_say_so(site: Site) -> None:
    site.run()
    assert site.told_to_wait() == {}
    holds.hold(site.store, "a", "ada", "disk", 1_795_000_000)
    site.commit({"boxes/b.yaml": 'role: vm\nsuspended: "ben: audit"\n'})
    site.run()
    assert site.told_to_wait() == {"a": "ada: disk (since 2026-11-18 11:06 UTC)", "b": "ben: audit"}
    site.remote.bare.rename(site.folder / "away")
    holds.hold(site.store, holds.ALL, "cleo", "storm", 1_795_000_000)
    with pytest.raises(SourceError):
        site.run()
    assert set(site.told_to_wait()) == {"a", "b", "c"}, "a hold needs no Git"
    (site.folder / "away").rename(site.remote.bare)
    holds.let_go(site.store, holds.ALL, "cleo")
    holds.let_go(site.store, "a", "ada")
    site.commit({"boxes/b.yaml": "role: vm\n"})
    site.run()
    assert site.told_to_wait() == {}


def test_nobody_moves_to_a_release_that_git_left_behind(site: Site) -> None:
    """Offered to all, then found bad by people: who has not taken it never does, while the canary tries the fix."""
    site.run()
    everybody_reports(site)
    site.commit(HELLO)
    site.run()
    site.report("a")
    assert site.run().published == ("b", "c") and site.told_to_wait() == {}
    site.report("b")
    site.commit(WORSE)
    assert site.run().published == ("a",)
    assert site.told_to_wait() == {"c": SUPERSEDED}, "b runs what it was offered: nothing to be told, nothing to sign"
    site.report("a")
    assert site.run().published == ("b", "c") and site.told_to_wait() == {}


@both
def test_an_operator_holds_a_box_or_the_fleet_without_a_commit(site: Site) -> None:
    site.run()
    everybody_reports(site)
    holds.hold(site.store, "a", "ada", "hardware on the way", 1_795_000_000)
    site.commit(HELLO)
    done = site.run()
    assert str(done.held["a"]) == "held: ada: hardware on the way (since 2026-11-18 11:06 UTC)"
    assert done.published == ("b",)
    site.report("b")
    holds.hold(site.store, holds.ALL, "ben", "storm", 1_795_000_000)
    done = site.run()
    assert done.published == () and "the whole fleet, by ben: storm" in done.held["c"].detail
    assert holds.let_go(site.store, "a", "ada") and not holds.let_go(site.store, "a", "ada")
    assert holds.let_go(site.store, holds.ALL, "ben")
    assert site.run().published == ("a", "c")
    reasons = [event.reason for event in site.store.events.latest("a")]
    assert "Suspended" in reasons and "Resumed" in reasons


def test_a_box_that_cannot_be_offered_its_release_holds_up_nobody_else(site: Site) -> None:
    site.run()
    everybody_reports(site)
    report = site.store.boxes.report("b")
    assert report
    site.store.boxes.save_report(replace(report, agent="0", counter=report.counter + 1))
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3}\n", **HELLO})
    done = site.run()
    assert done.published == ("a", "c") and "its agent reads format 0" in done.held["b"].detail
    site.run()
    types = [event.type for event in site.store.events.latest("b")]
    assert types.count(EventType.WARNING) == 1, "said once, in two passes"


def test_a_box_whose_release_cannot_be_made_holds_up_nobody_else(site: Site) -> None:
    """It keeps what it has, is held by name, and gets its release once it can be made; the others have theirs."""
    site.run()
    everybody_reports(site)
    before = site.offers()
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3}\n", **HELLO})
    site.unmade |= {"b"}
    controller, store, _ = site.start()
    done = controller.run_once()
    assert done.published == ("a", "c") and site.offers()["b"] == before["b"]
    assert "no such file" in done.held["b"].detail and store.holds.all() == done.held
    assert "no such file" in controller.run_once().held["b"].detail
    assert [event.type for event in store.events.latest("b")].count(EventType.WARNING) == 1, "said once, in two passes"
    site.unmade.clear()
    done = controller.run_once()
    assert done.published == ("b",) and done.held == {}


def test_a_base_image_that_cannot_be_had_holds_up_the_boxes_that_need_it_alone(site: Site, tmp_path: Path) -> None:
    """By file and line; what stands on its package waits, too, and all of it comes once the registry is there."""
    site.run()
    everybody_reports(site)
    before = site.offers()
    with DockerRegistry(tmp_path / "registry") as registry:
        digest = Pushed(registry.address).push("debian", "13")
    base = f"{registry.address}/debian@{digest}"
    site.commit(
        {
            "fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3}\n",
            **HELLO,
            "pkg/low/build.yml": "image: low\n",
            "pkg/low/Dockerfile": f"\nFROM {base}\n",
            "pkg/high/build.yml": 'image: high\nbuildArgs: ["BASE=@lkt:pkg:../low"]\n',
            "pkg/high/Dockerfile": "ARG BASE\nFROM ${BASE}\n",
            "boot/b.yml": 'services:\n  - {name: high, image: "@pkg:../pkg/high"}\n',
            "roles/b.yaml": "boot: [boot/a.yml, boot/b.yml]\n",
            "boxes/b.yaml": "role: b\n",
        }
    )
    controller, store, _ = site.start()
    for _ in range(3):
        done = controller.run_once()
        assert {"a", "c"} <= site.offers().keys() and site.offers()["b"] == before["b"]
        assert f"pkg/low/Dockerfile:2: base image {base} cannot be had" in done.held["b"].detail
        assert done.held.keys() == {"b"}
    began = [event.message for event in store.events.latest("") if event.message.startswith("pkg/low: ")]
    assert began and len(began) == len(set(began)), "nothing is said twice, in three passes"
    with registry:
        done = controller.run_once()
    assert done.published == ("b",) and done.held == {}


def left_without(site: Site) -> set[str]:
    """Boxes that waited for the release of one commit when that of the next cannot be made for them."""
    site.run()
    everybody_reports(site)
    site.commit({"fleet.yaml": "source: {branch: main}\nrollout: {canaries: 1}\n", **HELLO})
    waiting = set(site.run().held)
    site.commit(WORSE)
    site.unmade |= waiting
    site.run()
    return waiting


def test_what_an_older_commit_made_for_a_box_is_not_offered_when_the_newer_cannot_be_made(site: Site) -> None:
    waiting = left_without(site)
    assert waiting and not site.store.offers.candidates(waiting)


def test_a_box_without_its_release_stays_where_it_is_while_git_is_away_and_after_a_restart(site: Site) -> None:
    waiting = left_without(site)
    before = {box: hold for box, hold in site.store.holds.all().items() if box in waiting}
    assert {hold.reason for hold in before.values()} == {HoldReason.CANNOT_BE_OFFERED}
    away = site.remote.bare.rename(site.remote.bare.with_name("away"))
    for _ in range(2):  # each by a controller that was just started
        with pytest.raises(SourceError):
            site.run()
        assert before.items() <= site.store.holds.all().items()
    away.rename(site.remote.bare)


def test_a_pass_in_which_no_release_can_be_made_fails(site: Site) -> None:
    site.unmade |= {"a", "b", "c"}
    with pytest.raises(AssembleError, match="no such file"):
        site.run()


def test_who_is_held_is_told_even_when_nothing_waits(site: Site) -> None:
    site.commit({"boxes/a.yaml": 'role: vm\nsuspended: "ada: disk"\n'})
    site.run()
    assert site.store.holds.all() == {"a": Hold(HoldReason.SUSPENDED, "ada: disk")}


@both
def test_a_box_that_git_removes_is_offered_nothing_and_leaves_no_candidate(site: Site) -> None:
    site.commit({"boxes/d.yaml": 'role: vm\nsuspended: "not yet"\n'})
    site.run()
    assert "d" not in site.offers()
    site.commit({"boxes/d.yaml": None, "boxes/c.yaml": None})
    done = site.run()
    assert sorted(step.subject for step in done.plan.removed) == ["c", "d"]
    assert set(site.offers()) == {"a", "b"} and done.held == {} and not site.store.offers.waiting(99)
    assert site.run().plan.empty


def deployed_at(site: Site) -> str:
    last = StoredMemory(site.store).last()
    return last.revision.commit if last else ""


@pytest.fixture
def same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One moment, and one signature for each boot file: what two passes make of the same is the same to the byte."""
    now = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(secureboot, "_sbsign", functools.cache(secureboot._sbsign))
    monkeypatch.setattr("gitops.store.lease.RENEW", 999.0)  # no write while a copy is taken
    monkeypatch.setattr(Holder, "gone", lambda _: True)  # whoever held the lease has died: it was this process


def test_a_pass_that_dies_at_any_write_is_finished_by_the_next(site: Site, tmp_path: Path, same_bytes: None) -> None:
    """One pass, and a copy of all that outlives it before each of its writes and after the last: what a power cut would
    leave there. Each copy is gone on from, and ends as the pass itself did, to the byte.

    The state is of 0.1.0: what is deployed is taken over on the way, and then what comes is written over it.
    """
    first = site.run().revision
    everybody_reports(site)
    as_0_1_0_left_it(site.store)
    site.commit({**HELLO, "boxes/d.yaml": "role: other\n", "roles/other.yaml": "boot: [boot/a.yml]\n"})
    site.commit({"boxes/c.yaml": None})
    state, copies, last = site.settings.state, dict[Path, str](), list[object]()

    def cut(edge: str) -> None:
        """Unless nothing changed that anybody reads since the last one."""
        if (now := seen(state)) != last:
            last[:] = now
            copies[shutil.copytree(state, tmp_path / f"cut-{len(copies)}")] = edge

    with Edges(state).at(cut):
        done = site.run()
    cut("the end")
    wanted, deployed = left(site), set[str]()
    assert set(site.offers()) == {"a", "b", "d"} and set(done.held) == {"b"}
    for copy, edge in copies.items():
        shutil.rmtree(state)
        copy.rename(state)
        deployed.add(deployed_at(site))
        site.run()
        assert left(site) == wanted, edge
    assert site.run().plan.empty and deployed == {first.commit, done.revision.commit}
    kinds = {edge.partition(" ")[0] for edge in copies.values()}
    assert len(copies) > 40 and kinds >= {"commit", "os.rename"}


def left(site: Site) -> dict[str, object]:
    """What a pass leaves for boxes and for the next one: files that are reached, and rows."""
    store = site.store
    assert all(store.whole(each) for each in store.offers.each())
    rows = ("publications", "candidates", "holds", "boxes", "images", "layers")
    return {**published(site.settings.state), "deployed": deployed_at(site), **table_rows(store, rows)}


def test_a_box_published_before_a_stop_and_removed_after_it_is_removed(site: Site) -> None:
    site.run()
    site.commit({"boxes/d.yaml": "role: other\n", "roles/other.yaml": "boot: [boot/a.yml]\n"})
    controller, store, _ = site.start()

    def die(*_: object) -> None:
        raise Killed

    store.save_planned = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        controller.run_once()
    assert "d" in site.offers()
    site.commit({"boxes/d.yaml": None})
    site.run()
    assert "d" not in site.offers()


def test_history_that_was_offered_is_kept_even_if_the_pass_died_then(site: Site) -> None:
    site.run()
    site.commit(HELLO)
    controller, store, _ = site.start()

    def die(*_: object) -> None:
        raise Killed

    store.offers.promote = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        controller.run_once()
    site.commit(WORSE, "--amend")
    with pytest.raises(SourceError, match="does not descend"):
        site.run()


def break_remote(site: Site, how: str) -> None:
    if how == "offline":
        site.remote.bare.rename(site.folder / "away")
    elif how == "emptied":
        shutil.rmtree(site.remote.bare)
        site.remote.git("init", "-q", "--bare", str(site.remote.bare))
    else:
        site.remote.git("checkout", "-q", "--orphan", "other")
        site.remote.git("commit", "-q", "-m", "a new beginning")
        site.remote.git("push", "-q", "-f", "origin", "HEAD:main")


@pytest.mark.parametrize("how", ["offline", "emptied", "force-pushed"])
def test_while_the_remote_is_gone_the_last_good_rollout_goes_on_and_metadata_stays_fresh(
    site: Site, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run()
    everybody_reports(site)
    site.commit(HELLO)
    assert site.run().published == ("a",)
    old = site.remote.git("rev-parse", "HEAD")
    break_remote(site, how)
    with pytest.raises(SourceError):
        site.run()
    assert (site.store.notes.get(Status) or Status()).error
    timestamp = site.settings.state / "repo" / "metadata" / "timestamp.json"
    before = timestamp.read_bytes()
    now = time.time() + 3 * 86400
    monkeypatch.setattr("gitops.publish.publisher.time.time", lambda: now)
    site.report("a")
    with pytest.raises(SourceError):
        site.run()
    assert len(set(site.contents().values())) == 1, "the canary is healthy: the others follow"
    assert timestamp.read_bytes() != before
    if how == "offline":
        (site.folder / "away").rename(site.remote.bare)
    site.remote.git("push", "-q", "-f", "origin", f"{old}:refs/heads/main")
    assert site.run().plan.empty
    assert (site.store.notes.get(Status) or Status(error="none")).error == ""


def test_a_commit_with_mistakes_or_a_build_that_fails_leaves_the_last_good_state(site: Site) -> None:
    site.run()
    before = site.offers()
    site.commit({"roles/vm.yaml": "boots: []\n"})
    with pytest.raises(FleetError, match=r"roles/vm\.yaml"):
        site.run()
    site.commit({"roles/vm.yaml": FILES["roles/vm.yaml"], **HELLO})
    controller, _, workshop = site.start()
    workshop.fail = "pkg/hello"
    with pytest.raises(BuildError):
        controller.run_once()
    assert site.offers() == before
    workshop.fail = ""
    assert controller.run_once().published


def test_a_lost_layer_or_boot_file_is_made_again(site: Site) -> None:
    site.run()
    store = site.store
    publication = store.offers.published("a")
    assert publication
    store.layers.remove(publication.release.layers()[0].root)
    store.blobs.remove(publication.addon.sha256)
    done = site.run()
    assert {step.reason for step in done.plan.boxes} == {LOST}
    again = store.offers.published("a")
    assert again and store.whole(again) and site.run().plan.empty


def test_a_lost_build_is_built_again_when_it_is_needed(site: Site) -> None:
    site.run()
    store = site.store
    image = next(
        image for key in store.builds.image_keys() if (image := store.builds.image(key)) and "hello" in image.reference
    )
    store.blobs.remove(image.layers[0])
    assert [step.subject for step in site.run().plan.builds] == ["pkg/hello"]


def test_two_controllers_cannot_share_a_store(site: Site) -> None:
    with (
        site.store.lease.held(),
        pytest.raises(StoreError, match="in use by another controller"),
        site.store.lease.held(),
    ):
        pass


def test_a_full_disk_or_a_broken_stage_is_told_and_the_loop_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, store, workshop = site.start()
    stop, seen = threading.Event(), list[str]()

    def full(*_: object) -> Image:
        raise OSError(28, "No space left on device", "/state/x")

    real, workshop.build = workshop.build, full  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreError, match="No space left"):
        controller.run_once()

    def rest(*_: object) -> None:
        seen.append((store.notes.get(Status) or Status()).error)
        workshop.build = real  # type: ignore[method-assign]
        if len(seen) > 1:
            stop.set()

    monkeypatch.setattr(controller._carrying.patience, "rest", rest)
    controller.run_forever(stop)
    assert "No space left" in seen[0] and seen[1] == "" and set(site.offers()) == {"a", "b", "c"}


def test_missing_keys_are_named(site: Site) -> None:
    shutil.rmtree(site.settings.keys)
    with pytest.raises(TowerosError, match="keys"):
        site.run()


def test_a_fleet_without_a_toolbox_says_so(site: Site) -> None:
    shutil.rmtree(site.remote.work / "pkg" / "toolbox")
    site.commit({"README.md": "no toolbox\n"})
    with pytest.raises(TowerosError, match="pkg/toolbox"):
        site.run()


def test_what_a_killed_pass_left_is_swept_at_the_next_start(site: Site) -> None:
    state = site.settings.state
    (state / ".build-x" / "context").mkdir(parents=True)
    (state / ".tar-young").write_text("")
    (state / ".extract-old").mkdir()
    os.utime(state / ".extract-old", (0, 0))
    with site.store.lease.held():
        left = sorted(path.name for path in state.glob(".*"))
    assert left == [".tar-young"], "a `box image` may be at work beside us"
