"""What is remembered of updates outlives a look that finds nothing: mirrors are empty, old or half there at times."""

from gitops.model.updates.patching import Failed, Move, Patching, Window
from gitops.security.schedule.choice import Facts
from gitops.security.schedule.due import FIRST_RETRY
from gitops.security.schedule.tags import choose_tags
from gitops.settings import Settings
from gitops.workflows.updates.images.survey import Watch
from gitops.workflows.updates.memory import REMEMBERED, Memory, Timetable
from tests.kit.site import Site
from tests.simulators.tree import DictTree

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


WEB = "web.example/nginx:1"
A, B = (f"sha256:{letter * 64}" for letter in "ab")
TREE = DictTree({"x/docker-compose.yml": f"services: {{web: {{image: '{WEB}'}}}}", "images.lock": f"{WEB} {A}\n"})


def test_a_digest_that_is_here_is_known_from_before_whatever_the_clock_and_the_registries_did(site: Site) -> None:
    now = 1_000_000_000
    memory = Memory(site.store, lambda: now)
    here, moved = Watch(Settings(), TREE, off=True).seen, Move(WEB, A, B)
    assert here == (Move(WEB, "", A),), "known without a registry, and when the schedule is another one"
    with site.store.lease.held():
        now += 365 * 86400
        memory.see(here)
        now -= 365 * 86400  # the clock was wrong
        memory.see(here)
        now += REMEMBERED + 86400
        memory.see((*here, moved))
        memory.see(here)  # nobody says what the tag means
        now += 86400
        seen = memory.see((*here, moved)).seen
    assert choose_tags([moved], Facts(now, seen=seen)).go
    back = Move(WEB, B, A)
    assert not choose_tags([back], Facts(now, seen=seen)).go


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
