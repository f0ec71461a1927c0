"""What is remembered of updates outlives a look that finds nothing: mirrors are empty, old or half there at times."""

from gitops.model.updates.patching import Failed, Move, Patching, Window
from gitops.security.schedule.due import FIRST_RETRY
from gitops.workflows.updates.memory import REMEMBERED, Memory, Timetable
from tests.kit.site import Site

OPENSSL, ZLIB = Move("openssl", "3.5.7-1", "3.5.9-1"), Move("zlib", "1.0-1", "1.1-1")


def test_only_something_newer_or_half_a_year_lets_go_of_what_is_known(site: Site) -> None:
    now = 1_000_000_000
    store = site.store
    memory = Memory(store, lambda: now)
    with store.lease.held():
        memory.hold((OPENSSL, ZLIB), Failed.boxes, "boxes went back from it")
        first = memory.see((OPENSSL, ZLIB))
        older = Move("openssl", "3.5.7-1", "3.5.8-1")
        for found in ((), (older,), (ZLIB,), (OPENSSL, ZLIB)):
            now += 86400
            patches = memory.see(found)
            assert patches.held == first.held and first.seen.items() <= patches.seen.items(), found
        newer = memory.see((Move("openssl", "3.5.7-1", "3.5.10-1"), ZLIB))
        assert not newer.held and set(newer.seen) == {"openssl 3.5.10-1", "zlib 1.1-1"}
        memory.hold((ZLIB,), Failed.build, "does not build")
        now += REMEMBERED
        assert not memory.see(()).held and not memory.patches.seen


def test_a_run_that_kills_its_controller_is_claimed_ever_more_rarely(site: Site) -> None:
    now, patching = 1_000_000_000, Patching()
    store = site.store
    times = Timetable(store, lambda: now)
    with store.lease.held():
        times.ask(patching)
        claims = list[int]()
        for seconds in range(0, 4 * FIRST_RETRY, 60):
            now = 1_000_000_000 + seconds
            if times.claim(patching):
                claims.append(seconds)
        assert claims == [0, 60, 360, 960] and times.runs()[Window.packages].unended == 3
        now -= 86400  # a clock that was set back: what is not due is not begun, and is not put off for ever
        assert times.claim(patching) is None
        now += 2 * 86400
        assert times.claim(patching) is Window.packages
        times.finish(Window.packages, "done")
        assert times.runs()[Window.packages].unended == 0
