"""The schedules of one controller: no trouble of one run, or of what went out before, keeps it from its other work."""

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
