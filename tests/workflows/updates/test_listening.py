"""While mirrors and remotes take their time, an operator's hold is heard."""

import threading

import pytest

from gitops.store import LeaseError
from gitops.workflows.updates.listening import listening
from tests.kit.updates import Patched


def test_what_must_not_wait_is_done_while_the_work_goes_on() -> None:
    go, heard = threading.Event(), list[int]()

    def between() -> None:
        heard.append(len(heard))
        if len(heard) == 4:
            go.set()

    assert listening(lambda: go.wait(30) and "done", between, every=0.01) == "done"
    assert len(heard) >= 4


def test_what_the_work_raises_is_raised_and_nobody_waits_for_it_after_a_lease_is_lost() -> None:
    go, calls = threading.Event(), list[int]()

    def lost() -> None:
        calls.append(1)
        if len(calls) > 1:
            raise LeaseError("taken over")

    with pytest.raises(TimeoutError, match="its own"):
        listening(lambda: (_ for _ in ()).throw(TimeoutError("its own")), lambda: None, every=0.01)
    with pytest.raises(LeaseError):
        listening(lambda: go.wait(30), lost, every=0.01)
    assert not go.is_set()
    go.set()


def test_a_run_listens_before_the_mirrors_are_asked_and_before_files_are_fetched(patched: Patched) -> None:
    patched.says("{how: pull-request}")
    patched.update()
    patched.later()
    controller, store, builder = patched.site.start()
    asked, heard = patched.debian.asked, list[tuple[bool, bool]]()

    def between() -> None:
        heard.append(tuple(any(path.endswith(end) for path in asked) for end in ("InRelease", ".deb")))  # type: ignore[arg-type]

    with store.lease.held():
        done = controller.run_once()
        asked.clear()
        patched.updates(builder, between=between).run_due(controller._load(done.revision), done.revision)
    assert patched.run().outcome == "1 of 1 updates offered"
    assert (False, False) in heard and (True, False) in heard
