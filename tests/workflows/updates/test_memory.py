"""What is remembered of updates outlives a look that finds nothing: mirrors are empty, old or half there at times."""

from gitops.model.updates.patching import Failed, Move
from gitops.workflows.updates.memory import REMEMBERED, Memory
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
