"""Whether this machine's clock may date a signature.

In: the clock, and when the published timestamp was signed. Out: the moment to sign with, or a refusal. Rules: time does
not go back, so a clock that is behind signs as of the last signature; one that is a month ahead of that is not believed
until somebody says that it is right: what is signed in 2036 holds until 2036, and nobody could take it back. A
signature that is older than the commit that it is of is no measure: the clock was behind then.

    moment(store, int(time.time()), signer.signed(read))
    warning(now, signed)        # words for people; empty: nothing is wrong
"""

from collections.abc import Callable
from datetime import UTC, datetime

from gitops.errors import PublishError
from gitops.store import Store
from gitops.store.notes.restored import RightClock

DAY = 86400
AHEAD = 30 * DAY
"""Seconds since the last signature after which the clock is doubted: three weeks after boxes last believed us."""
BEHIND = 3600
"""Seconds that a clock may be behind the last signature without a word."""


def moment(store: Store, now: int, signed: int, newest: Callable[[], int] = lambda: 0) -> int:
    """When to sign. `signed`: Unix seconds of the last signature; 0: nothing was signed yet. `newest`: asked for when
    the newest commit was made that this signature is of; 0: unknown.

    Raises:
        PublishError: the clock is too far ahead to be believed.
    """
    said = (store.notes.get(RightClock) or RightClock()).said
    if signed and now - signed > AHEAD and abs(now - said) > DAY and signed >= newest() - DAY:
        hint = "set the clock; if it is right, and nothing was signed since then: `toweros apply --clock-is-right`"
        raise PublishError(
            f"this machine's clock says {_words(now)}; the last signature was {_apart(now, signed)}", hint=hint
        )
    return max(now, signed)


def warning(now: int, signed: int) -> str:
    """What is wrong with a clock that is behind."""
    if now >= signed - BEHIND:
        return ""
    return f"this machine's clock says {_words(now)}, and is behind: it signed at {_words(signed)} already; set it"


def _words(time: int) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"


def _apart(now: int, signed: int) -> str:
    return f"{(now - signed) // DAY} days before that, at {_words(signed)}"
