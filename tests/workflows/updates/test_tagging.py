"""Where tags deploy, a commit of ours never waits for a tag that does not come."""

import pytest

from gitops.source.clone.pushing import PushClone
from tests.kit.updates import Patched

NEW = "locks: openssl 3.5.7-1 -> 3.5.9-1"


class Killed(BaseException):
    """What a power cut is to a process: no handler runs."""


def tagged(patched: Patched, name: str) -> None:
    git = patched.site.remote.git
    git("tag", "-a", "-m", name, name)
    git("push", "-q", "origin", name)


def released(patched: Patched, pattern: str = "v*") -> None:
    """By tags, v1.2.4 is deployed, and an update is due."""
    patched.site.commit({"fleet.yaml": f'source: {{tags: "{pattern}"}}\nsecurity: {{how: tag}}\n'})
    tagged(patched, "v1.2.3")
    patched.look()
    patched.site.commit({"README.md": "words\n"})
    tagged(patched, "v1.2.4")
    patched.look()
    patched.update()
    patched.later()


def untagged(patched: Patched, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]) -> None:
    """A look in which no tag reaches the remote."""
    send = PushClone._send

    def sends(clone: PushClone, spec: str, ref: str, expected: str) -> None:
        if ref.startswith("refs/tags/"):
            raise failure("no tag")
        send(clone, spec, ref, expected)

    with monkeypatch.context() as patch:
        patch.setattr(PushClone, "_send", sends)
        try:
            patched.look()
        except Killed:
            return


@pytest.mark.parametrize("failure", [Killed, OSError])
def test_a_tag_that_was_left_out_is_made_up(
    patched: Patched, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    released(patched)
    untagged(patched, monkeypatch, failure)
    assert patched.show("main") == NEW and "v1.2.5" not in patched.refs
    patched.later(300)
    patched.look()
    assert patched.show("v1.2.5") == NEW
    patched.look()
    assert set(patched.patches.proposals) == {"openssl"}, "it is out, and its boxes are looked at"
    patched.site.report("a")
    patched.look()
    patched.site.report("a", failed=True)
    untagged(patched, monkeypatch, failure)
    assert patched.show("main").startswith("locks: take back") and "v1.2.6" not in patched.refs
    patched.look()
    assert patched.show("v1.2.6") == patched.show("main")
    patched.look()
    assert patched.patches.proposals == {}


@pytest.mark.parametrize(("pattern", "taken", "name"), [("v*", 1, "v1.2.6"), ("v*.?", 5, "")])
def test_a_tag_s_name_is_free_and_deploys_or_nothing_is_pushed(
    patched: Patched, pattern: str, taken: int, name: str
) -> None:
    released(patched, pattern)
    controller, store, builder = patched.site.start()
    with store.lease.held():
        done = controller.run_once()
        for patch in range(taken):
            tagged(patched, f"v1.2.{5 + patch}")
        before = dict(patched.refs)
        patched.updates(builder).run_due(controller._load(done.revision), done.revision)
    if name:
        assert patched.show(name) == patched.show("main") == NEW
    else:
        assert dict(patched.refs) == before and "v1.2.10 would not deploy" in patched.run().error
