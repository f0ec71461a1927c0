"""What follows from the facts of a box."""

import pytest

from gitops.model import SILENT, BoxState, Health, Hold, HoldReason, Phase, Sync, Version

ONE, TWO = Version("r1", "c1", "main@sha1:one", 1), Version("r2", "c2", "main@sha1:two", 2)
HELD, WAITS = Hold(HoldReason.SUSPENDED, "ada"), Hold(HoldReason.WAITS_FOR_CANARY, "a: Progressing")


def state(published: Version = ONE, candidate: Version = Version(), hold: Hold | None = None) -> BoxState:
    """A box that said at 1000 that it runs release 1."""
    said = {"received": 1000, "running": ONE, "phase": Phase.IDLE, "reported": Health.HEALTHY}
    return BoxState("demo-1", 1, published=published, candidate=candidate, hold=hold, **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "sync", "health"),
    [
        (state(), Sync.SYNCED, Health.HEALTHY),
        (state(TWO), Sync.OUT_OF_SYNC, Health.HEALTHY),
        (state(Version()), Sync.UNKNOWN, Health.HEALTHY),
        (state(ONE, TWO, WAITS), Sync.OUT_OF_SYNC, Health.HEALTHY),
        (state(ONE, TWO, HELD), Sync.OUT_OF_SYNC, Health.SUSPENDED),
        (BoxState("demo-1", 1, published=ONE), Sync.UNKNOWN, Health.UNKNOWN),
        (BoxState("demo-1", 1, published=ONE, hold=HELD), Sync.UNKNOWN, Health.UNKNOWN),
    ],
)
def test_sync_and_health(box: BoxState, sync: Sync, health: Health) -> None:
    assert (box.sync, box.health(1010)) == (sync, health)


def test_a_box_is_missing_when_it_is_silent_whoever_holds_it() -> None:
    assert state(hold=HELD).health(1000 + SILENT) == Health.SUSPENDED
    assert state(hold=HELD).health(1000 + SILENT + 1) == Health.MISSING


def test_a_hold_is_not_what_the_box_says_of_itself() -> None:
    assert state(hold=HELD).heard(1010) == Health.HEALTHY


def test_a_box_has_taken_its_offer_by_content_not_by_release() -> None:
    assert state(Version("r9", "c1", "main@sha1:readme", 9)).taken
    assert state(ONE, TWO).taken, "what waits is not an offer"
    assert not state(TWO).taken and not BoxState("demo-1").taken and not state(Version()).taken
