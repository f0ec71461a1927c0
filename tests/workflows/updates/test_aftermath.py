"""What boxes say of an update counts for it, and nothing that other boxes say of something else does."""

import pytest

from gitops.rollout.holds import hold
from gitops.source.clone.pushing import PushClone
from tests.kit.site import DOCKERFILE
from tests.kit.updates import Patched

NEW = "locks: openssl 3.5.7-1 -> 3.5.9-1"
OURS = "toweros/security/openssl"
OTHER = {
    "boot/b.yml": (
        'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n'
        'services:\n  - {name: extra, image: "@pkg:../pkg/extra"}\n'
    ),
    "roles/other.yaml": "boot: [boot/b.yml]\n",
    "boxes/c.yaml": "role: other\n",
    "pkg/extra/build.yml": "image: extra\n",
    "pkg/extra/Dockerfile": DOCKERFILE,
    "pkg/extra/file": "extra\n",
}


def reported(patched: Patched, *boxes: str) -> None:
    """All that is offered reaches these boxes."""
    for _ in range(2):
        patched.look()
        for box in boxes:
            if box in patched.site.offers():
                patched.site.report(box)
    patched.look()


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "silent"])
def test_a_box_that_has_nothing_of_an_update_tells_nothing_of_it(patched: Patched, broken: bool) -> None:
    patched.says("{how: commit}", **OTHER)
    reported(patched, "a", "b", *(["c"] if broken else []))
    if broken:
        patched.site.commit({"pkg/extra/file": "somebody's mistake\n"})
        patched.look()
        patched.site.report("c", failed=True)
    patched.update()
    patched.later()
    patched.look()
    reported(patched)
    assert patched.show("main") == NEW and not patched.patches.held, "c has no openssl"
    assert set(patched.patches.proposals) == {"openssl"}, "a and b have it, and say nothing yet"
    reported(patched, "a", "b")
    assert patched.show("main") == NEW and patched.patches.proposals == {}


def test_an_update_that_waits_for_boxes_that_are_held_is_not_done(patched: Patched) -> None:
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    patched.look()
    store = patched.site.store
    with store.lease.held():
        hold(store, "*", "ada", "a trade fair", patched.now)
    patched.look()
    assert set(patched.patches.proposals) == {"openssl"}


def test_a_pull_request_that_somebody_squashed_is_held_when_a_box_goes_back(patched: Patched) -> None:
    patched.says("{how: pull-request}")
    reported(patched, "a", "b", "c")
    patched.update()
    patched.later()
    patched.look()
    git = patched.site.remote.git
    git("fetch", "-q", "origin")
    git("merge", "-q", "--squash", f"origin/{OURS}")
    patched.site.commit({})
    patched.look()
    assert not patched.patches.held and patched.refs["main"] != patched.refs[OURS]
    patched.site.report("a", failed=True)
    patched.look()
    (held,) = patched.patches.held.values()
    assert [str(move) for move in held.moves] == ["openssl 3.5.7-1 -> 3.5.9-1"] and held.failed == "boxes"


@pytest.mark.parametrize("group", ["source", "all"])
def test_what_broke_boxes_together_goes_one_by_one_whatever_else_is_new_by_then(patched: Patched, group: str) -> None:
    patched.says(f"{{how: commit, group: {group}}}")
    for box in patched.site.offers():
        patched.site.report(box)
    patched.update()
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    patched.look()
    patched.site.report("a", failed=True)
    patched.look()
    back = patched.refs["main"]
    assert patched.show(back) == "locks: take back 2 updates"
    patched.look()
    patched.update("tool", "1.1", "tool", depends="libssl3, libz")
    patched.later()
    patched.look()
    assert (patched.show("main"), patched.show("main", "%P")) == (NEW, back), "with none of the others"


def test_an_update_that_deployed_under_somebody_s_commit_is_neither_blamed_nor_done_when_boxes_go_back(
    patched: Patched,
) -> None:
    patched.says("{how: commit}")
    reported(patched, "a", "b", "c")
    patched.update()
    patched.later()
    patched.look()
    patched.site.remote.git("pull", "-q", "origin", "main")
    patched.site.commit({"pkg/hello/file": "somebody's mistake\n"})
    theirs = patched.refs["main"]
    patched.look()
    patched.site.report("a", failed=True)
    for _ in range(2):
        patched.look()
    assert patched.refs["main"] == theirs and not patched.patches.held
    assert "a went back from it and from a commit that somebody pushed" in patched.patches.proposals["openssl"].note
    (said,) = [each for each in patched.events("Updates") if "not certain" in each]
    assert said.startswith("openssl 3.5.7-1 -> 3.5.9-1: a went back")
    patched.site.commit({"pkg/hello/file": "mended\n"})
    reported(patched, "a", "b", "c")
    assert not patched.patches.proposals


def test_a_push_that_never_arrived_is_forgotten(patched: Patched, monkeypatch: pytest.MonkeyPatch) -> None:
    patched.says("{how: commit}")
    patched.update()
    patched.later()
    with monkeypatch.context() as patch:
        patch.setattr(PushClone, "_send", lambda *_: (_ for _ in ()).throw(OSError("no route")))
        patched.look()
    assert patched.patches.proposals["openssl"].pushing and "no route" in patched.run().error
    patched.relock()  # somebody does it by hand, with another set
    patched.update("libz", "1.1-1", "zlib")
    patched.relock()
    patched.look()
    assert not patched.patches.proposals


def test_a_suspect_waits_until_boxes_keep_the_one_before_but_not_for_ever(patched: Patched) -> None:
    patched.says("{how: commit}")
    for box in patched.site.offers():
        patched.site.report(box)
    patched.update()
    patched.update("libz", "1.1-1", "zlib")
    patched.later()
    patched.look()
    patched.look()
    patched.site.report("a", failed=True)
    patched.look()
    patched.look()
    patched.update("tool", "1.1", "tool", depends="libssl3, libz")  # another set: each of it goes alone
    patched.later()
    patched.look()
    first = patched.refs["main"]
    assert patched.show(first) == NEW
    patched.later()
    patched.look()
    assert patched.refs["main"] == first and "waiting" in patched.run().outcome, "nobody has kept it yet"
    for _ in range(3):
        patched.later()
        patched.look()
    assert patched.refs["main"] != first and patched.show("main", "%P") == first, "silent boxes keep nothing back"
