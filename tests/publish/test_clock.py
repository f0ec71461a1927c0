"""A clock that was wrong once, and is right again, stops nothing."""

import time
from datetime import UTC, datetime

import pytest

from gitops.errors import PublishError, SignError
from gitops.publish import clock
from gitops.sign.roots import rotation
from gitops.store.notes.restored import RightClock
from tests.kit.published import NOW, PASSPHRASE, Kit

DAY = 86400


def it_is(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(time, "time", lambda: now)


def test_after_years_ahead_root_expires_by_the_clock_that_is_right_again(
    here: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no root helps: the next one would have to hold from the wrong year on."""
    now = datetime.now(UTC).timestamp()
    it_is(monkeypatch, now + 1000 * DAY)
    here.store.notes.put(RightClock(int(time.time())))
    with pytest.raises(SignError, match="root has expired"):
        here.publisher.publish([here.publication("demo-1", 1)])
    it_is(monkeypatch, now)
    here.publisher.publish([here.publication("demo-1", 1)], now=int(now) + 700 * DAY)
    rotation.rotate(here.folder / "keys", "root", PASSPHRASE, datetime.fromtimestamp(now - 100 * DAY, UTC))
    assert "timestamp.json" in here.publisher.publish([here.publication("demo-1", 2)])
    assert here.publisher.signed == int(now) + 700 * DAY, "no signature holds for less than one before it"


def test_a_first_signature_before_the_clock_was_set_is_no_measure(here: Kit) -> None:
    """NTP came after the first pass: nobody has to type anything."""
    assert clock.moment(here.store, NOW + DAY, 3600, lambda: NOW) == NOW + DAY
    with pytest.raises(PublishError, match="clock says"):
        clock.moment(here.store, NOW + 40 * DAY, NOW, lambda: NOW - DAY)
    with pytest.raises(PublishError, match="clock says"):
        clock.moment(here.store, NOW, 3600)


def test_what_is_published_says_how_late_it_is(here: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    here.publisher.publish([here.publication("demo-1", 1)], now=3600)
    it_is(monkeypatch, NOW + 60 * DAY)
    assert here.publisher.refresh() and here.publisher.signed == NOW + 60 * DAY
