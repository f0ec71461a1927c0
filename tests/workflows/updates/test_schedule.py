"""The schedules of one controller: no trouble of one run, or of what went out before, keeps it from its other work."""

import pytest

from gitops.source.clone.pushing import PushClone
from tests.kit.updates import Patched


def test_two_schedules_that_wait_have_one_try_each_after_a_pass(patched: Patched) -> None:
    patched.says("{how: commit, kernel: {every: 1 day}}")
    patched.update()
    patched.later()
    controller, store, builder = patched.site.start()
    start, looks = patched.now, 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        assert looks < 500, "it goes round for ever"
        patched.now += 1  # time passes while it works
        return patched.now

    with store.lease.held():
        done = controller.run_once()
        patched.site.commit({"README.md": "somebody else's\n"})
        patched.updates(builder, clock).run_due(controller._load(done.revision), done.revision)
    for window in ("packages", "kernel"):
        run = patched.run(window=window)
        assert "not deployed" in run.outcome and run.retry > run.finished + 30
    assert looks < 500 and patched.now - start < 500


def test_what_cannot_be_taken_back_is_tried_ever_more_rarely_and_runs_go_on(
    patched: Patched, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes, send = list[int](), PushClone._send
    patched.says("{how: commit}")
    for box in patched.site.offers():
        patched.site.report(box)
    patched.update()
    patched.later()
    patched.look()
    patched.look()
    patched.site.report("a", failed=True)
    protected = patched.site.remote.bare / "refs/heads/main.lock"
    protected.touch()
    patched.later()
    controller, store, builder = patched.site.start()
    monkeypatch.setattr(PushClone, "_send", lambda *words: (pushes.append(patched.now), send(*words))[1])
    start = patched.now
    with store.lease.held():
        done = controller.run_once()
        updates = patched.updates(builder)
        for _ in range(31):  # a quarter of an hour of polls
            updates.run_due(controller._load(done.revision), done.revision)
            patched.now += 30
        assert [each - start for each in pushes] == [0, 300, 900]
        assert patched.run().started == start and not patched.run().error
        assert len([each for each in patched.events("Updates") if "cannot be settled" in each]) == 1
        protected.unlink()
        patched.now = start + 900 + 1200
        updates.run_due(controller._load(done.revision), done.revision)
    assert patched.show("main").startswith("locks: take back")
